package live

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
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

// create makes a new file for a stream that begins now; one that exists is never touched.
func (s *store) create(name, ext string, now time.Time) (*os.File, string, error) {
	if err := s.root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	stamp := now.UTC().Format("20060102T150405Z")
	for i := 1; ; i++ {
		base := stamp
		if i > 1 {
			base = fmt.Sprintf("%s-%d", stamp, i) // the stream began twice within a second
		}
		path := filepath.Join(name, base+"."+ext)
		f, err := s.root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return f, filepath.Join(s.dir, path), err
	}
}

// recording is a stream's file: a sink of its hub that must have everything. The file is made with the first data, when
// the format is known, and holds at any time a prefix of the stream.
type recording struct {
	store *store
	st    *stream

	file *os.File      // the sink's owner's alone
	sink penstock.Sink // into file

	mu   sync.Mutex
	path string // empty before the first data
	err  error  // why it ended early
}

// record attaches a recording to the stream's new hub. Precondition: st.mu is held.
func (s *store) record(st *stream) *recording {
	r := &recording{store: s, st: st}
	st.srv.running.Add(1)
	_, err := st.hub.Attach(r, hub.SinkConfig{Name: recordingName, MustHave: true, OnLeave: r.ended})
	if err != nil { // a hub made a moment ago has not ended
		panic(err)
	}
	return r
}

// recordingName is what the hub calls the edge to the recording.
const recordingName = "recording"

// status returns the file's path, empty before there is one, and what ended the recording early.
func (r *recording) status() (path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.path, r.err
}

// SpliceWrite is the file's, once there is one.
func (r *recording) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	if r.sink == nil {
		f, path, err := r.store.create(r.st.name, r.st.currentFormat().Ext, time.Now())
		if err != nil {
			return 0, err
		}
		r.file, r.sink = f, penstock.SinkOf(f)
		r.mu.Lock()
		r.path = path
		r.mu.Unlock()
		r.st.srv.log.Info("recording", "stream", r.st.name, "file", path)
	}
	return r.sink.SpliceWrite(p, n, flags)
}

// Path is the file's: the hub asks after the first write.
func (r *recording) Path(p penstock.Conduit) (penstock.Path, string) { return r.sink.Path(p) }

// Polls is false: writes wait for the disk.
func (r *recording) Polls() bool { return false }

// Interrupt does nothing: a write to the disk ends when the disk says so.
func (r *recording) Interrupt() {}

// Resume has nothing to undo.
func (r *recording) Resume() {}

// ended closes the file. With an error, of the disk or of the closing, the stream goes on without a recording.
func (r *recording) ended(err error) {
	defer r.st.srv.running.Done()
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
	}
	path, _ := r.status()
	log := r.st.srv.log.With("stream", r.st.name, "file", path)
	if err == nil {
		log.Info("recording closed")
		return
	}
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	log.Error("recording ended", "err", err)
}
