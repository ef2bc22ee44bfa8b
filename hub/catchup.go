package hub

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/penstock-io/penstock"
)

// Archive is where a stream's past can be read while it is being written: a recording. Offsets are the stream's. Its
// methods are called from any goroutine, and wait for a disk at most.
//
// An Archive that is a Sink as well, and is attached with MustHave before the first byte, is the hub's recording: who
// has read all that there is in it waits until the hub has written more.
type Archive interface {
	// Mark notes a join point, before the bytes from off on are offered to the archive as a sink.
	Mark(off int64, at time.Time)

	// Find returns the newest place where a viewer may begin that is no newer than t, or the oldest there is.
	Find(t time.Time) (off int64, at time.Time, ok bool)

	// Open returns a file that is the caller's to close, and stands at the stream's byte off, of which n bytes may
	// be read now; or no file, and no error, if there is nothing yet. An error with a method Gap() (from, to
	// int64) says that the stream is missing up to to.
	Open(off int64) (f *os.File, n int64, err error)
}

// ErrNoArchive is for who wants to begin in the past of a stream that has none.
var ErrNoArchive = errors.New("the stream's past is not to be had")

// archiveStep is how much is read from the archive between two looks at whether the ring would do.
const archiveStep = 1 << 20

// find returns the offset of so long ago.
func (h *Hub) find(ago time.Duration) (int64, error) {
	if h.cfg.Archive == nil {
		return 0, ErrNoArchive
	}
	off, _, ok := h.cfg.Archive.Find(time.Now().Add(-ago))
	if !ok {
		return 0, ErrNoArchive
	}
	return off, nil
}

// startInArchiveLocked makes v begin at off.
func (h *Hub) startInArchiveLocked(v *Viewer, off int64) {
	v.beginAt(off)
	v.joined = true
	h.fallBehindLocked(v, h.ring.next())
	h.unclaimLocked(v) // none, for now
	go v.pump()
}

// toArchiveLocked takes v, which is off the ring, its claims: once its own pipe is empty it goes on from the archive.
func (h *Hub) toArchiveLocked(v *Viewer) (free []*chunk) {
	if !v.holding || v.busy {
		return nil
	}
	free = h.unclaimLocked(v)
	v.loaded = 0
	v.tally.archived.Add(1)
	return free
}

// rejoinLocked gives v, which stands in the archive, claims on the ring from its place on, if that has it and v would not
// fall off it again at once. Precondition: its own pipe is empty.
func (h *Hub) rejoinLocked(v *Viewer) bool {
	at, in := v.at.Load(), h.in.Load()
	if at >= in {
		h.claimLocked(v, h.ring.next())
		return true
	}
	c := h.ring.from(at)
	if c == nil || in-at > h.boundLocked()/2 {
		return false
	}
	h.claimLocked(v, c.seq)
	v.loaded, v.joined = int(at-c.off), true
	return true
}

// canRejoin tells whether rejoinLocked would.
func (h *Hub) canRejoin(v *Viewer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.canRejoinLocked(v)
}

func (h *Hub) canRejoinLocked(v *Viewer) bool {
	at, in := v.at.Load(), h.in.Load()
	return v.cause != nil || at >= in || in-at <= h.boundLocked()/2 && h.ring.from(at) != nil
}

// aheadOfRecorderLocked tells whether what v needs next is still to be recorded.
func (h *Hub) aheadOfRecorderLocked(v *Viewer) bool {
	return h.recorder != nil && h.recorder.cause == nil && h.recorder.place == behind && v.at.Load() >= h.recorder.at.Load()
}

func (h *Hub) aheadOfRecorder(v *Viewer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.aheadOfRecorderLocked(v)
}

// readArchive gives v what the archive has from its place on, until the ring would do. Precondition: its own pipe is
// empty.
func (v *Viewer) readArchive(flags penstock.Flags) error {
	h := v.h
	if !v.started {
		tables := h.currentTables()
		if err := v.write(v.withHeader(tables), tables); err != nil {
			return err
		}
		if err := v.flush(flags); err != nil {
			return err
		}
	}
	grown := h.archive.Load()
	if h.aheadOfRecorder(v) {
		return h.awaitArchive(v, grown)
	}
	f, n, err := h.cfg.Archive.Open(v.at.Load())
	switch gap := (interface{ Gap() (from, to int64) })(nil); {
	case errors.As(err, &gap):
		if _, to := gap.Gap(); to > v.at.Load() {
			v.expect = v.at.Load()
			v.noteSkip(to)
			return nil
		}
		return h.awaitArchive(v, grown)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrTooSlow, err)
	case n == 0:
		return h.awaitArchive(v, grown)
	}
	defer f.Close()
	src := penstock.SourceOf(f)
	for n > 0 && !h.canRejoin(v) {
		m, err := v.fromFile(f, src, min(n, archiveStep), flags)
		n -= int64(m)
		v.expect = v.at.Load()
		if err == nil && m == 0 {
			err = fmt.Errorf("%w: reading the recording: %w", ErrTooSlow, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fromFile moves up to n bytes of the archive to the sink: by sendfile where the sink takes that.
func (v *Viewer) fromFile(f *os.File, src penstock.Source, n int64, flags penstock.Flags) (m int, err error) {
	if s, ok := v.sink.(penstock.FileSink); ok && v.h.pool != nil {
		m, err = s.SendFile(f, int(n), flags)
		if m > 0 || !errors.Is(err, penstock.ErrCannotSplice) {
			v.sentFile(m)
			return m, err
		}
	}
	if v.own == nil {
		v.own, _ = v.h.newPipe(largeChunk)
	}
	m, err = src.SpliceRead(v.own, int(min(n, int64(v.own.Cap()))), 0)
	v.n += m
	if m > 0 {
		v.took(v.own, "from the recording", false)
		return m, v.flush(flags)
	}
	return 0, fmt.Errorf("%w: reading the recording: %w", ErrTooSlow, err)
}

// sentFile counts bytes that went from a file to the sink.
func (v *Viewer) sentFile(n int) {
	v.tally.called()
	if n == 0 {
		return
	}
	bump(&v.at, int64(n))
	bump(&v.sent, int64(n))
	v.news = true
	v.way.Store(v.h.ways.get(way{path: penstock.PathSendfile, why: "from the recording: behind the stream"}))
	v.tally.gave(penstock.PathSendfile, n)
}

// archiveGrew tells those who have read all of it.
func (h *Hub) archiveGrew() {
	h.archive.Add(1)
	if h.waiting.Load() > 0 {
		h.mu.Lock()
		h.archived.Broadcast()
		h.mu.Unlock()
	}
}

// awaitArchive waits until the archive has grown since it had done so the given number of times, or v can go on from the
// ring. Its error is ErrTooSlow if nobody writes to the archive any more.
func (h *Hub) awaitArchive(v *Viewer, grown uint64) error {
	v.idle.Store(true)
	defer v.idle.Store(false)
	h.waiting.Add(1)
	defer h.waiting.Add(-1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.archive.Load() == grown && !h.canRejoinLocked(v) {
		if h.recorder == nil {
			return fmt.Errorf("%w, and the recording has ended", ErrTooSlow)
		}
		h.archived.Wait()
	}
	return nil
}
