package hub_test

import (
	"net"
	"os"
	"runtime"
	"time"

	"github.com/penstock-io/penstock"
)

// The sinks of a schedule's viewers: in memory, a mere writer, and a socket whose other side the viewer reads.

// wordSink is in memory, polls or does not, and can be interrupted.
type wordSink struct {
	v     *testViewer
	polls bool
}

func (w *wordSink) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (done int, err error) {
	v, now := w.v, w.polls && flags&penstock.NonBlock != 0
	if now {
		v.inStep()
		defer v.at.serving.Add(-1)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for done < n {
		switch {
		case v.broken != nil:
			return done, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: v.broken}
		case v.cut:
			return done, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: os.ErrDeadlineExceeded}
		case v.room > 0:
			b := make([]byte, min(n-done, v.room))
			m, err := p.Read(b) // holds n: does not wait
			v.takeLocked(b[:m])
			done += m
			if err != nil {
				return done, err
			}
		case now:
			v.at.s.saw(sawBlocked)
			return done, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: penstock.ErrWouldBlock}
		default:
			v.cond.Wait()
		}
	}
	return done, nil
}

// inStep notes that a fast loop, and nobody else, serves the viewer.
func (v *testViewer) inStep() {
	if v.at.serving.Add(1) > 1 {
		v.at.s.saw(sawBeside)
	}
	if in := v.in.Load(); in != nil && in.ArchiveVisits() > 0 {
		v.at.s.saw(sawRejoin)
	}
	if v.quick {
		runtime.Gosched() // so that other loops come in between on one processor, too
	}
}

func (w *wordSink) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "a test"
}
func (w *wordSink) Polls() bool { return w.polls }

func (w *wordSink) Interrupt() {
	w.v.mu.Lock()
	defer w.v.mu.Unlock()
	w.v.cut = true
	w.v.cond.Broadcast()
}

func (w *wordSink) Resume() {
	w.v.mu.Lock()
	defer w.v.mu.Unlock()
	w.v.cut = false
}

// wordWriter cannot be interrupted: a write waits until there is room.
type wordWriter struct{ v *testViewer }

func (w *wordWriter) Write(b []byte) (done int, err error) {
	v := w.v
	v.mu.Lock()
	defer v.mu.Unlock()
	for done < len(b) {
		switch {
		case v.broken != nil:
			return done, v.broken
		case v.room > 0:
			m := min(len(b)-done, v.room)
			v.takeLocked(b[done : done+m])
			done += m
		default:
			v.cond.Wait()
		}
	}
	return done, nil
}

// takeLocked makes bytes the viewer's.
func (v *testViewer) takeLocked(b []byte) {
	v.got = append(v.got, b...)
	if v.room -= len(b); v.breakAt > 0 && len(v.got) >= v.breakAt {
		v.broken = errBroken
	}
}

var _ penstock.Sink = (*wordSink)(nil)

// newSink returns one of any kind.
func (v *testViewer) newSink() penstock.Sink {
	switch k := v.r.IntN(12); {
	case v.quick, k < 5:
		return &wordSink{v, true}
	case k < 7:
		return &wordSink{v, false}
	case k < 9:
		v.at.s.saw(sawWriter)
		v.writes = true
		return penstock.SinkOf(&wordWriter{v})
	default:
		v.near, v.far = v.at.s.connect()
		_ = v.near.SetWriteBuffer(1 << (12 + v.r.IntN(6))) // hints; any size does
		_ = v.far.SetReadBuffer(1 << (16 + v.r.IntN(3)))
		return penstock.SinkOf(v.near)
	}
}

// receive is the life of a viewer by TCP: it reads by fits and starts to the end, resets the connection, or stalls.
func (v *testViewer) receive(end, steps int) {
	b := make([]byte, 1<<16)
	for i := 0; ; i++ {
		if v.r.IntN(4) == 0 {
			v.dawdle()
		}
		if i == steps && end == 0 {
			v.leave()
		}
		if i == steps && (end == 1 || end >= 4 || end == 2 && v.mayStall()) {
			v.mu.Lock()
			v.deaf = true
			v.mu.Unlock()
			if end != 2 {
				v.far.SetLinger(0)
				v.far.Close()
			}
			return
		}
		n, err := v.far.Read(b[:1+v.r.IntN(1<<v.r.IntN(17))])
		v.mu.Lock()
		v.got = append(v.got, b[:n]...)
		v.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// dawdle is part of a schedule, and no synchronisation.
func (v *testViewer) dawdle() { time.Sleep(time.Duration(v.r.IntN(300)) * time.Microsecond) }

// connect returns the two ends of a loopback connection.
func (s *schedule) connect() (near, far *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // the machine has no loopback
	}
	defer l.Close()
	dialed := make(chan net.Conn, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			panic(err)
		}
		dialed <- c
	}()
	a, err := l.Accept()
	if err != nil {
		panic(err)
	}
	return a.(*net.TCPConn), (<-dialed).(*net.TCPConn)
}
