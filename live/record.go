package live

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/recording"
)

// store is the record directory. It is opened as a root: no name, and no link that somebody put there, leads out of it.
type store struct {
	dir  string
	root *os.Root
}

// openStore makes the directory if need be and sees whether it can be written to.
func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot record: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".penstock-*")
	if err != nil {
		return nil, fmt.Errorf("cannot record: %w", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return nil, fmt.Errorf("cannot record: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot record: %w", err)
	}
	return &store{dir, root}, nil
}

func (s *store) Close() error { return s.root.Close() }

// create makes a new file NAME/<UTC time>.<ext>; one that exists is never touched. Names sort in the order in which their
// files were begun: of several within a millisecond the later ones are given the next.
func (s *store) create(name, ext string, at time.Time) (*os.File, error) {
	if err := s.root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	for ; ; at = at.Add(time.Millisecond) {
		base := at.UTC().Format("20060102T150405.000Z")
		f, err := s.root.OpenFile(filepath.Join(name, base+"."+ext), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// inside returns the path below the root of a file that create made, by its Name.
func (s *store) inside(name string) (string, error) { return filepath.Rel(s.root.Name(), name) }

func (s *store) open(name string) (*os.File, error) {
	path, err := s.inside(name)
	if err != nil {
		return nil, err
	}
	return s.root.Open(path)
}

func (s *store) remove(name string) error {
	path, err := s.inside(name)
	if err != nil {
		return err
	}
	return s.root.Remove(path)
}

// indexExt is the ending of the file beside the segments that says what is in them.
const indexExt = "index"

// recordingName is what the hub calls the edge to the recording.
const recordingName = "recording"

// record returns a recording of the stream: it makes its files with the first data, when the format is known.
func (s *store) record(st *stream) *recording.Recording {
	cfg := &st.srv.cfg
	log := recordingLog{st}
	return recording.New(recording.Config{
		Create: func(at time.Time) (*os.File, error) {
			return s.create(st.name, st.currentFormat().Ext, at)
		},
		CreateIndex: func(at time.Time) (*os.File, error) {
			return s.create(st.name, indexExt, at)
		},
		Open:         s.open,
		Remove:       s.remove,
		SegmentBytes: cfg.SegmentBytes,
		SegmentTime:  cfg.SegmentTime,
		Sync:         cfg.Sync,
		Retry:        cfg.Retry,
		OnEvent:      log.tell,
	})
}

// attachRecording makes rec, which is the hub's archive, the first sink of a hub that was made a moment ago. It is
// closed when it leaves.
func (st *stream) attachRecording(rec *recording.Recording) {
	st.srv.running.Add(1)
	_, err := st.hub.Attach(rec, hub.SinkConfig{Name: recordingName, MustHave: true, OnLeave: func(reason error) {
		defer st.srv.running.Done()
		log := st.srv.log.With("stream", st.name)
		err := rec.Close(reason)
		status := rec.Status()
		log = log.With("segments", status.Segments, "bytes", status.Bytes)
		if status.Gaps > 0 {
			log = log.With("gaps", status.Gaps, "dropped", status.GapBytes)
		}
		if err = errors.Join(reason, err); err != nil {
			log.Error("recording closed", "err", err)
		} else {
			log.Info("recording closed")
		}
	}})
	if err != nil {
		panic(err) // a hub made a moment ago has not ended
	}
}

// recordingLog tells the log what happens to a recording.
type recordingLog struct{ st *stream }

func (l recordingLog) tell(e recording.Event) {
	log := l.st.srv.log.With("stream", l.st.name)
	switch e.Kind {
	case recording.SegmentBegun:
		log.Info("recording", "file", e.File)
	case recording.SegmentEnded:
		log.Debug("segment closed", "file", e.File, "bytes", e.To-e.From)
	case recording.GapBegun:
		log.Error("recording: nothing can be written, and the stream goes on without", "err", e.Err)
	case recording.GapEnded:
		log.Warn("recording: end of a gap", "dropped", e.To-e.From, "since", e.At)
	case recording.SyncFailed:
		log.Error("recording: maybe not on the disk", "file", e.File, "bytes", e.To-e.From, "err", e.Err)
	case recording.IndexFailed:
		log.Error("recording: the index could not be written", "err", e.Err)
	}
}

// recordingFacts is what the API and the page tell of a recording. All of it is of the present life of the stream.
type recordingFacts struct {
	File       string     `json:"file"` // the segment being written; empty before the first data, in a gap, and in the end
	Segments   int        `json:"segments"`
	Bytes      int64      `json:"bytes"`
	Seconds    float64    `json:"seconds"` // from the first byte to the last, gaps included
	Gaps       int        `json:"gaps"`    // runs of the stream that could not be written
	GapBytes   int64      `json:"gap_bytes"`
	GapSince   *time.Time `json:"gap_since,omitempty"` // there while nothing can be written
	DoubtBytes int64      `json:"doubt_bytes"`         // written, but maybe not on the disk: a sync failed
	Error      string     `json:"error,omitempty"`     // the last one, which may be long over
	IndexError string     `json:"index_error,omitempty"`
}

func recordingFactsOf(rec *recording.Recording) *recordingFacts {
	s := rec.Status()
	f := &recordingFacts{
		File: s.File, Segments: s.Segments, Bytes: s.Bytes, Seconds: s.Duration.Seconds(),
		Gaps: s.Gaps, GapBytes: s.GapBytes, DoubtBytes: s.DoubtBytes,
	}
	if !s.GapSince.IsZero() {
		since := s.GapSince.UTC()
		f.GapSince = &since
	}
	if s.Err != nil {
		f.Error = s.Err.Error()
	}
	if s.IndexErr != nil {
		f.IndexError = s.IndexErr.Error()
	}
	return f
}
