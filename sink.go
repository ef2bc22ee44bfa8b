package penstock

import (
	"errors"
	"io"
	"net"
	"time"
)

// SinkOf makes a Sink of w, which it writes to but does not close. On Linux a *net.TCPConn, a *net.UnixConn and an
// *os.File are spliced into, and everywhere a pipe is; everything else is written, and so are those where splice is refused.
//
// A [Reserver] gets the bytes copied straight into its space.
//
// If w has SetWriteDeadline, Interrupt works; else a write that has begun is waited for.
func SinkOf(w io.Writer) Sink {
	if p, ok := bare(w); ok {
		return &pipeSink{p}
	}
	if s := descriptorSink(w); s != nil {
		return s
	}
	if r, ok := spaceOf(w); ok {
		return &writerSink{w: reserverWriter{r, w}}
	}
	return &writerSink{w: w}
}

// writerSink writes, buffer by buffer.
type writerSink struct {
	w    io.Writer
	loan loan
	vec  net.Buffers
}

// vectored returns w if it writes several buffers at once (writev), by way of the standard library.
func vectored(w io.Writer) (io.Writer, bool) {
	switch w.(type) {
	case *net.TCPConn, *net.UnixConn:
		return w, true
	default:
		return nil, false
	}
}

func (s *writerSink) SpliceWrite(p Conduit, n int, flags Flags) (int, error) {
	done := 0
	for done < n {
		m, err := s.once(p, n-done, flags)
		done += m
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (s *writerSink) step(p Conduit, n int, _ Flags) (int, error) {
	m, err := s.once(p, n, NonBlock)
	return m, emptied(err)
}

// once writes what there is in one go. The flags are for the pipe: the writer is waited for.
func (s *writerSink) once(p Conduit, n int, flags Flags) (int, error) {
	if p, ok := p.(*Pipe); ok {
		return s.fromPages(p, n, flags)
	}
	return s.fromPeek(p, n)
}

// emptied finds out that there was nothing in the pipe after all.
func emptied(err error) error {
	if side, _ := SideOf(err); side == SidePipe && (errors.Is(err, ErrWouldBlock) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return errPipeWouldBlock
	}
	return err
}

// fromPages writes the pages where they are. What was not accepted is not consumed.
func (s *writerSink) fromPages(p *Pipe, n int, flags Flags) (done int, err error) {
	if err := s.loan.borrow(p, n, flags); err != nil {
		return 0, err
	}
	defer func() {
		s.loan.settle(done)
		if op := (*OpError)(nil); errors.As(err, &op) {
			_, op.Offset = p.offsets()
		}
	}()
	if conn, ok := vectored(s.w); ok && len(s.loan.views) > 1 {
		s.vec = append(s.vec[:0], s.loan.views...)
		rest := s.vec // which WriteTo consumes
		m, err := rest.WriteTo(conn)
		clear(s.vec)
		return int(m), opErr("splice", SideSink, PathPages, err)
	}
	for _, b := range s.loan.views {
		m, err := writeAll(s.w, b)
		done += m
		if err != nil {
			return done, opErr("splice", SideSink, PathPages, err)
		}
	}
	return done, nil
}

// fromPeek writes a copy and then consumes what was accepted.
func (s *writerSink) fromPeek(p Conduit, n int) (int, error) {
	pg := anonymous(DefaultPageSize)
	defer pg.Release()
	m, err := p.PeekInto(pg.data[:min(n, len(pg.data))])
	if err != nil {
		return 0, err
	}
	if m == 0 {
		return 0, opErr("splice", SidePipe, PathReadWrite, io.ErrUnexpectedEOF)
	}
	m, err = writeAll(s.w, pg.data[:m])
	if _, derr := p.Discard(m); derr != nil {
		return m, derr
	}
	return m, opErr("splice", SideSink, PathReadWrite, err)
}

// writeAll is Write with the io.Writer contract enforced: a short count without an error becomes one.
func writeAll(w io.Writer, b []byte) (int, error) {
	n, err := w.Write(b)
	if n < 0 || n > len(b) {
		return 0, io.ErrShortWrite
	}
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (s *writerSink) Path(p Conduit) (Path, string) {
	if _, ok := p.(*Pipe); ok {
		return PathPages, "pages of a memory pipe written to a plain writer"
	}
	return PathReadWrite, "a plain writer"
}

func (s *writerSink) Polls() bool { return false }
func (s *writerSink) Interrupt()  { setWriteDeadline(s.w, past) }
func (s *writerSink) Resume()     { setWriteDeadline(s.w, time.Time{}) }

func setWriteDeadline(w any, t time.Time) {
	if d, ok := w.(writeDeadliner); ok {
		_ = d.SetWriteDeadline(t) // refused only by what is closed already
	}
}

// reserverWriter writes into a sink's own space.
type reserverWriter struct {
	Reserver
	w io.Writer
}

func (r reserverWriter) Write(b []byte) (done int, err error) {
	for done < len(b) && err == nil {
		var m int
		m, err = commit(r.Reserver, b[done:])
		done += m
	}
	return done, err
}

func (r reserverWriter) SetWriteDeadline(t time.Time) error {
	setWriteDeadline(r.w, t)
	return nil
}
