package recording

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
)

// Config is what a recording is made with. Create and Open must be there.
type Config struct {
	// Create makes the file of a segment that begins at a time, O_EXCL and for writing, but not O_APPEND, which refuses
	// splice. The recording owns the file. It is called from SpliceWrite, the first time with the first data.
	Create func(at time.Time) (*os.File, error)

	// Open opens a segment for reading, by the Name of the file that Create returned. Any goroutine calls it that calls
	// Recording.Open.
	Open func(name string) (*os.File, error)

	// Remove deletes a segment that took not a single byte, by its Name. nil leaves such files.
	Remove func(name string) error

	// CreateIndex makes the index file, for writing, with the first segment. The recording owns the file. nil is no
	// index.
	CreateIndex func(at time.Time) (*os.File, error)

	// SegmentBytes and SegmentTime are when a segment has reached its limit. 0 is none. The next join point then begins
	// a new one; if none comes within as much again, it begins anywhere. In a stream without join points the limit
	// itself is where it begins.
	SegmentBytes int64
	SegmentTime  time.Duration

	// Sync is when data and index are forced to the disk: 0 is never, SyncAtEnd when a segment ends, and what is
	// positive is every so often besides. SpliceWrite never waits for it.
	Sync time.Duration

	// Retry is how long after a failure a new segment is tried. 0 is a second. The time doubles, up to ten times as
	// much, while that fails. Where join points come one is waited for, for ten times as much at most.
	Retry time.Duration

	// OnEvent is told what happens, for a log. It is called by SpliceWrite and by the recording's own goroutine, maybe
	// at once, and must not block. It may call Open, Find, End and Status, but no other method. nil is nobody.
	OnEvent func(Event)
}

// SyncAtEnd as Config.Sync forces each segment to the disk when it ends.
const SyncAtEnd time.Duration = -1

const (
	defaultRetry = time.Second
	patience     = 10 // times Retry: the longest backoff, and the longest wait for a join point after a failure

	waitingSegments = 8 // ended, to be closed: then SpliceWrite waits for the disk
)

// Recording is one stream on disk. All methods may be called from any goroutine, those of the sink by one at a time and
// in the order of the stream. SpliceWrite, Path and Close wait for each other, and for the disk; the others never do,
// except that Open opens a file. It is made by [New].
type Recording struct {
	cfg   Config
	base  time.Time // what times are counted from, so that a step of the wall clock does no harm
	marks marks
	index *index // nil: none
	sync  func(*os.File) error
	shut  func(*os.File) error

	end  atomic.Int64 // the stream's offset; past a segment's end only after state has been told
	last atomic.Int64 // when the last byte was recorded, since base

	writing sync.Mutex // held by SpliceWrite and Close: what follows is theirs
	began   bool       // there has been data
	closed  bool
	seg     *segment      // being written to; nil in a gap and before the first data
	sink    penstock.Sink // into the last segment's file
	retryAt time.Time
	backoff time.Duration
	resumed time.Time // when the last gap ended
	noted   place     // the last one of a stream without join points
	result  error     // of Close
	keeper  *keeper

	mu    sync.Mutex // never held while anything is waited for
	state state
}

var _ penstock.Sink = (*Recording)(nil)

// New returns a recording of a stream that has not begun. It is to be closed. It panics where Create or Open is
// missing.
func New(cfg Config) *Recording {
	if cfg.Create == nil || cfg.Open == nil {
		panic("recording: a Config without Create or without Open")
	}
	if cfg.Retry <= 0 {
		cfg.Retry = defaultRetry
	}
	r := &Recording{cfg: cfg, base: time.Now(), sync: (*os.File).Sync, shut: (*os.File).Close}
	if cfg.CreateIndex != nil {
		r.index = &index{create: cfg.CreateIndex}
	}
	return r
}

// Mark says that the stream can be joined at an offset, whose bytes arrived at a time. Offsets ascend, and each is
// marked before SpliceWrite is given the byte; any other goroutine may do so. It does not wait.
func (r *Recording) Mark(off int64, at time.Time) { r.marks.add(off, at) }

// SpliceWrite moves n bytes, which p holds, to the end of the recording. It waits for the disk, whatever flags say. An
// error of the disk is none of SpliceWrite's: bytes that cannot be written are dropped, and are counted as moved. Its
// error is the pipe's, or os.ErrClosed after Close.
func (r *Recording) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (done int, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.closed {
		return 0, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: os.ErrClosed}
	}
	for done < n && err == nil {
		var m int
		m, err = r.step(p, n-done, flags)
		done += m
	}
	r.writeIndex()
	return done, err
}

// step moves bytes up to the next place where something may have to be done. After a failure it drops all of them: so
// however long a broken disk takes to say that it is, a SpliceWrite waits for it once.
func (r *Recording) step(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	off, at := r.end.Load(), time.Now()
	now := at
	next, coming := r.marks.from(off)
	if coming && next.at.Before(at) {
		at = next.at // the stream is older than its writing here
	}
	joining := coming && next.off == off
	if r.seg != nil && r.seg.ended(&r.cfg, off, at, joining, r.marks.ever()) {
		r.retire(off)
	}
	if r.seg == nil {
		if r.began && !r.mayResume(now, joining) {
			if coming && next.off > off && !now.Before(r.retryAt) {
				n = int(min(int64(n), next.off-off))
			}
			return r.drop(p, n)
		}
		r.began = true
		if err := r.begin(off, at); err != nil {
			r.failed(off, err)
			return r.drop(p, n)
		}
	}
	m, err := r.sink.SpliceWrite(p, r.marks.reach(r.seg, &r.cfg, off, n), flags)
	if m > 0 {
		r.wrote(off, m, at, now)
	}
	if err == nil || flags&penstock.NonBlock != 0 && errors.Is(err, penstock.ErrWouldBlock) {
		return m, err
	}
	if side, told := penstock.SideOf(err); told && side != penstock.SideSink {
		return m, err
	}
	r.failed(off+int64(m), err)
	if m == n {
		return m, nil
	}
	dropped, err := r.drop(p, n-m)
	return m + dropped, err
}

// wrote counts what the segment's file took at an offset, and then says so.
func (r *Recording) wrote(off int64, m int, at, now time.Time) {
	first := !r.seg.told
	if first {
		r.tell(now)
	}
	r.last.Store(int64(r.since(now)))
	r.end.Store(off + int64(m))
	if first || !r.marks.ever() && r.noted.far(place{off, r.since(at)}) {
		r.note(off, at, false)
	}
	for k, ok := r.marks.pop(off + int64(m)); ok; k, ok = r.marks.pop(off + int64(m)) {
		if k.off >= r.seg.from {
			r.note(k.off, k.at, true)
		}
	}
}

// drop takes bytes out of the pipe that nothing is to be done with: the gap is open.
func (r *Recording) drop(p penstock.Conduit, n int) (int, error) {
	m, err := p.Discard(n)
	if m == 0 && err == nil {
		err = &penstock.OpError{Op: "splice", Side: penstock.SidePipe, Err: io.ErrUnexpectedEOF}
	}
	off := r.end.Add(int64(m))
	for _, ok := r.marks.pop(off); ok; _, ok = r.marks.pop(off) { // what could be joined is gone
	}
	return m, err
}

// since returns a time as the places have it.
func (r *Recording) since(at time.Time) time.Duration { return at.Sub(r.base) }

// Path tells the way into the last file that there was.
func (r *Recording) Path(p penstock.Conduit) (penstock.Path, string) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.sink == nil {
		return "", "dropped: there is no file to write to"
	}
	return r.sink.Path(p)
}

// Polls is false: writes wait for the disk.
func (r *Recording) Polls() bool { return false }

// Interrupt does nothing: a write to the disk ends when the disk says so.
func (r *Recording) Interrupt() {}

// Resume has nothing to undo.
func (r *Recording) Resume() {}

// Close ends the recording, for a reason that goes into the index; nil is the end of the stream. It waits until
// everything is on the disk that is to be, and all files are closed. What was recorded can still be read. Its error is
// that of closing the segment that was being written, and of the index; what went wrong before is in Status. It may be
// called again.
func (r *Recording) Close(reason error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.closed {
		return r.result
	}
	r.closed = true
	end := r.end.Load()
	seg := r.seg
	switch {
	case seg != nil && seg.told:
		r.retire(end)
	case seg != nil:
		r.result, seg = r.abandon(), nil
	}
	r.endGap(end)
	if r.keeper != nil {
		r.keeper.stop()
	}
	if seg != nil {
		r.result = seg.err // the keeper's, which has ended
	}
	r.mu.Lock()
	r.state.closed = true
	r.mu.Unlock()
	if r.index != nil {
		err := r.index.close(end, time.Now(), reason, r.cfg.Sync != 0)
		r.indexed(err)
		r.result = errors.Join(r.result, err)
	}
	return r.result
}
