package penstock_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
)

// The sources and sinks of random transfers.

// source takes one.
func (s *copySchedule) source() {
	s.intact = true
	kind := s.r.IntN(11)
	s.note("%d bytes from source %d", len(s.data), kind)
	switch kind {
	case 0:
		s.src = bytes.NewReader(s.data)
	case 1:
		s.src = tempFile(s.t, s.data, os.O_RDONLY)
	case 2:
		s.src = s.fed("unix")
	case 3:
		r, w, err := os.Pipe()
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { r.Close() })
		s.feed(w)
		s.src = r
	case 4:
		p := penstock.NewPipe(1 + s.r.IntN(20))
		s.t.Cleanup(func() { p.Close() })
		s.feed(writeCloser{p})
		s.src = p
	case 5:
		p := kernelPipe(s.t)
		s.feed(writeCloser{p})
		s.src = p
	case 6:
		s.src = bufio.NewReaderSize(s.fed("tcp"), 1+s.size(14))
	case 7: // a plain one, whose Read may be left behind
		conn, r := s.fed("tcp"), s.fork()
		s.src = reading(func(b []byte) (int, error) {
			dawdle(r)
			return conn.Read(b[:min(len(b), 64+r.IntN(1<<r.IntN(17)))])
		})
	case 8:
		after := s.r.IntN(len(s.data) + 1)
		s.note("which fails behind %d", after)
		s.src = io.MultiReader(bytes.NewReader(s.data[:after]), &failing{errTest})
		s.data = s.data[:after]
	case 9: // whose descriptor blocks
		r, w := blockingFIFO(s.t)
		s.feed(w)
		s.src = r
	default:
		s.src = s.fed("tcp")
	}
}

func (s *copySchedule) fed(network string) net.Conn {
	near, far := socket(s.t, network)
	s.feed(far)
	return near
}

// feed writes what the source has, in pieces, and closes it.
func (s *copySchedule) feed(w io.WriteCloser) {
	r, quiet := s.fork(), -1
	if s.one(4) && len(s.data) > 0 {
		quiet = s.r.IntN(len(s.data))
		s.note("which is quiet at %d", quiet)
	}
	done, rest := make(chan struct{}), s.data
	most := 1 << r.IntN(19)
	go func() {
		defer close(done)
		defer w.Close()
		for len(rest) > 0 {
			if at := len(s.data) - len(rest); quiet >= 0 && at >= quiet {
				<-s.free
				quiet = -1
			}
			n, err := w.Write(rest[:min(len(rest), 64+r.IntN(most))])
			if rest = rest[n:]; err != nil {
				return // nobody reads it to its end
			}
			dawdle(r)
		}
	}()
	s.t.Cleanup(func() {
		if c, ok := s.src.(io.Closer); ok {
			c.Close()
		}
		<-done
	})
}

// dawdle does nothing for a moment, at times.
func dawdle(r *rand.Rand) {
	if r.IntN(16) == 0 {
		time.Sleep(time.Duration(r.IntN(200)) * time.Microsecond)
	}
}

// randomSink is one, and what it got.
type randomSink struct {
	w     io.Writer
	got   func() []byte // once the transfer is over
	exact bool          // that is all it took
	loses bool          // and that may be lost on the way
}

func (s *copySchedule) sink() randomSink {
	kind, all := s.r.IntN(14), len(s.data)+1
	cut, stall := -1, -1
	if s.one(4) {
		cut = s.r.IntN(all)
	}
	if s.one(3) {
		stall = s.r.IntN(all)
	}
	s.note("sink %d fails at %d, stalls at %d", kind, cut, stall)
	switch kind {
	case 0, 1, 2:
		near, far := socket(s.t, "tcp")
		if s.one(2) {
			squeeze(s.t, near, far)
		}
		return s.drunk(near, near.Close, far, cut, stall)
	case 3:
		near, far := socket(s.t, "unix")
		return s.drunk(near, near.Close, far, cut, stall)
	case 4:
		r, w, err := os.Pipe()
		if err != nil {
			s.t.Fatal(err)
		}
		return s.drunk(w, w.Close, r, cut, stall)
	case 5:
		p := penstock.NewPipe(1 + s.r.IntN(20))
		return s.drunk(p, p.CloseWrite, p, cut, stall)
	case 6:
		p := kernelPipe(s.t)
		return s.drunk(p, p.CloseWrite, p, cut, stall)
	case 7, 8:
		flags := os.O_RDWR | os.O_CREATE
		if kind == 8 {
			flags |= os.O_APPEND
		}
		name := filepath.Join(s.t.TempDir(), "out")
		f, err := os.OpenFile(name, flags, 0o600)
		if err != nil {
			s.t.Fatal(err)
		}
		return randomSink{w: f, exact: true, got: func() []byte {
			f.Close()
			b, err := os.ReadFile(name)
			if err != nil {
				s.t.Error(err)
			}
			return b
		}}
	case 9:
		return randomSink{w: tempDevice(s.t, "/dev/full"), exact: true, got: func() []byte { return nil }}
	case 10:
		r, w := blockingFIFO(s.t)
		return s.drunk(w, w.Close, r, cut, stall)
	case 11:
		near, far := socket(s.t, "tcp")
		squeeze(s.t, near, far)
		f := blockingTCP(s.t, near)
		return s.drunk(f, func() error { return errors.Join(f.Close(), near.Close()) }, far, cut, stall)
	default:
		w := &dawdler{r: s.fork(), free: s.free, cut: cut, stall: stall}
		if cut >= 0 && s.one(3) {
			w.bomb, s.panics = true, true
			s.note("it panics")
		}
		return randomSink{w: w, exact: true, got: w.bytes}
	}
}

// drunk is a sink that is read from the other side, slowly.
func (s *copySchedule) drunk(w io.Writer, end func() error, far io.ReadCloser, cut, stall int) randomSink {
	r, done := s.fork(), make(chan []byte, 1)
	most := 1 << (4 + r.IntN(14))
	go func() {
		var all []byte
		defer func() { far.Close(); done <- all }()
		b := make([]byte, most)
		for {
			if stall >= 0 && len(all) >= stall {
				<-s.free
				stall = -1
			}
			if cut >= 0 && len(all) >= cut {
				return
			}
			n, err := far.Read(b[:1+r.IntN(most)])
			if all = append(all, b[:n]...); err != nil {
				return
			}
			dawdle(r)
		}
	}()
	got := sync.OnceValue(func() []byte { _ = end(); return <-done })
	s.t.Cleanup(func() { got() })
	return randomSink{w: w, got: got, loses: cut >= 0}
}

// dawdler is a plain writer that takes its time, and fails or panics somewhere.
type dawdler struct {
	mu   sync.Mutex
	all  []byte
	r    *rand.Rand
	free chan struct{}

	cut, stall int
	bomb       bool
}

func (d *dawdler) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dawdle(d.r)
	if d.stall >= 0 && len(d.all)+len(b) >= d.stall {
		<-d.free
		d.stall = -1
	}
	n, err := len(b), error(nil)
	if d.cut >= 0 && len(d.all)+len(b) > d.cut {
		if n, err = d.cut-len(d.all), errTest; d.bomb {
			panic(errBomb)
		}
	}
	d.all = append(d.all, b[:n]...)
	return n, err
}

func (d *dawdler) bytes() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all
}
