package hub_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
)

// The publishers of a schedule.

// theStream is what the first bytes of each stream are; few are longer.
var theStream = offsets(2 << 20)

// word writes the stream's bytes from off on: each 8 of them say their own offset.
func word(b []byte, off int64) {
	n := 0
	if off < int64(len(theStream)) {
		n = copy(b, theStream[off:])
	}
	for i := n; i < len(b); i++ {
		at := uint64(off) + uint64(i)
		b[i] = byte(at &^ 7 >> (56 - 8*(at&7)))
	}
}

var errCamera = errors.New("the camera failed")

// epoch is the part of the stream that one publisher has: it goes on where the one before it ended.
type epoch struct {
	s      *schedule
	r      *rand.Rand
	once   sync.Once
	start  int64
	at     int64
	left   int64
	cancel func() // nil: it is not cancelled by itself
}

// begin finds out where that is, when the hub asks for the first bytes: until then another one may publish.
func (e *epoch) begin() {
	e.once.Do(func() {
		e.start = e.s.h.Stats().BytesIn
		e.at = e.start
	})
}

// piece returns some of the next n bytes, or how it ends.
func (e *epoch) piece(n int64) ([]byte, error) {
	if b := e.s.cfg.Budget; b != nil && b.Used() >= b.Limit() {
		e.s.saw(sawUsedUp)
	}
	if e.left == 0 {
		if e.r.IntN(4) == 0 {
			return nil, errCamera
		}
		return nil, io.EOF
	}
	b := make([]byte, min(n, e.left, int64(1+e.r.IntN(1<<e.r.IntN(18)))))
	word(b, e.at)
	return b, nil
}

func (e *epoch) gave(n int) {
	e.at += int64(n)
	e.left -= int64(n)
}

// givesUp tells whether this is the moment to be cancelled.
func (e *epoch) givesUp() bool { return e.cancel != nil && e.left > 0 && e.r.IntN(8) == 0 }

// newSource returns a publisher of any kind, and what is to be done about it once it has published.
func (s *schedule) newSource(e *epoch) (src penstock.Source, done func()) {
	switch e.r.IntN(6) {
	case 0:
		s.saw(sawReader)
		return &lateSource{Source: penstock.SourceOf(&wordReader{e}), e: e}, func() {}
	case 1:
		s.saw(sawSocket)
		near, far := s.connect()
		w := &lateSource{Source: penstock.SourceOf(near), e: e}
		var wg sync.WaitGroup
		w.then = func() { wg.Go(func() { e.writeTo(far) }) }
		return w, func() { near.Close(); wg.Wait(); far.Close() }
	default:
		return &wordSource{epoch: e, polls: e.r.IntN(2) == 0}, func() {}
	}
}

// lateSource lets an epoch begin with the first look at the source.
type lateSource struct {
	penstock.Source
	e    *epoch
	once sync.Once
	then func()
}

func (l *lateSource) begin() {
	l.e.begin()
	if l.then != nil {
		l.once.Do(l.then)
	}
}

func (l *lateSource) SpliceRead(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	l.begin()
	return l.Source.SpliceRead(p, n, flags)
}

func (l *lateSource) Wait() error {
	l.begin()
	return l.Source.Wait()
}

func (l *lateSource) SetReadDeadline(t time.Time) error {
	if d, ok := l.Source.(interface{ SetReadDeadline(time.Time) error }); ok {
		return d.SetReadDeadline(t)
	}
	return errors.ErrUnsupported
}

// wordReader cannot be interrupted.
type wordReader struct{ *epoch }

func (w *wordReader) Read(b []byte) (int, error) {
	if w.givesUp() {
		w.cancel()
	}
	p, err := w.piece(int64(len(b)))
	w.gave(len(p))
	return copy(b, p), err
}

// writeTo is a publisher that writes to a socket, and ends that properly or by resetting it.
func (e *epoch) writeTo(far *net.TCPConn) {
	for {
		if e.givesUp() {
			e.cancel()
		}
		b, err := e.piece(1 << 20)
		if errors.Is(err, errCamera) {
			far.SetLinger(0)
		}
		if err != nil {
			far.Close()
			return
		}
		n, err := far.Write(b)
		if e.gave(n); err != nil {
			return
		}
	}
}

// wordSource is in memory, polls or does not, and can be interrupted.
type wordSource struct {
	*epoch
	polls bool
	empty bool // the last read had nothing
	mu    sync.Mutex
	past  bool // interrupted
}

func (w *wordSource) SpliceRead(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	w.begin()
	w.mu.Lock()
	past := w.past
	w.mu.Unlock()
	switch {
	case past:
		return 0, &penstock.OpError{Op: "read", Side: penstock.SideSource, Err: os.ErrDeadlineExceeded}
	case w.givesUp():
		w.cancel()
		return 0, &penstock.OpError{Op: "read", Side: penstock.SideSource, Err: os.ErrDeadlineExceeded}
	case w.left > 0 && w.polls && flags&penstock.NonBlock != 0 && !w.empty && w.r.IntN(8) == 0:
		w.empty = true
		return 0, &penstock.OpError{Op: "splice", Side: penstock.SideSource, Err: penstock.ErrWouldBlock}
	}
	w.empty = false
	b, err := w.piece(min(int64(n), int64(p.Cap())))
	if err != nil {
		return 0, err
	}
	m, err := p.Write(b)
	w.gave(m)
	return m, err
}

func (w *wordSource) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "a test"
}
func (w *wordSource) Polls() bool { return w.polls }

func (w *wordSource) Wait() error { return nil }

func (w *wordSource) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.past = !t.IsZero()
	return nil
}

// unitScanner knows the stream by its offsets.
type unitScanner struct {
	s  *schedule
	at int64
}

func (u *unitScanner) Scan(run []byte) (join, cut, end int) {
	join, cut, end = -1, -1, 0
	first := (u.at + u.s.unit - 1) / u.s.unit * u.s.unit
	for off := first; off <= u.at+int64(len(run)); off += u.s.unit {
		i := int(off - u.at)
		end = i
		if i == len(run) {
			break
		}
		if cut < 0 {
			cut = i
		}
		if u.s.isJoin(off) {
			join = i
		}
		var want [8]byte
		word(want[:], off)
		if got := run[i:min(i+8, len(run))]; !bytes.HasPrefix(want[:], got) {
			u.s.fault("the scanner sees %x at %d", got, off)
		}
	}
	if u.at%u.s.unit != 0 && end == 0 { // an epoch that begins in the middle of a unit, and no end of that yet
		end = len(run)
	}
	u.at += int64(end)
	if join >= end {
		join = -1
	}
	return join, cut, end
}

func (u *unitScanner) Header() []byte { return []byte(tablesText) }
