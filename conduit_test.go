package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// conduits runs a test over both backings.
func conduits(t *testing.T, test func(t *testing.T, open func() penstock.Conduit)) {
	t.Run("memory", func(t *testing.T) {
		before := penstock.PagesInUse()
		var arena penstock.Arena
		var opened []penstock.Conduit
		test(t, func() penstock.Conduit {
			p := arena.NewPipe(0)
			opened = append(opened, p)
			return p
		})
		for _, p := range opened {
			p.Close()
		}
		arena.Close()
		if after := penstock.PagesInUse(); after != before {
			t.Errorf("pages in use: %d before, %d after", before, after)
		}
	})
	t.Run("kernel", func(t *testing.T) {
		test(t, func() penstock.Conduit {
			p, err := penstock.NewKernelPipe(0)
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip("this system has no splice")
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			return p
		})
	})
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// socket returns the two ends of a connection.
func socket(t *testing.T, network string) (near, far net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	wg.Go(func() { far, err = net.Dial(network, l.Addr().String()) })
	near, aerr := l.Accept()
	wg.Wait()
	if err := errors.Join(err, aerr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// TestEverySourceToEverySink carries a stream through a pipe of either backing and looks at the bytes, and at the path
// that was said to be taken.
func TestEverySourceToEverySink(t *testing.T) {
	want := pattern(3<<20 + 17)
	type path = penstock.Path
	const memory, kernel = 0, 1
	sources := []struct {
		name  string
		paths [2]path
		open  func(t *testing.T) io.Reader
	}{
		{"TCP", [2]path{penstock.PathPages, penstock.PathSplice}, func(t *testing.T) io.Reader {
			near, far := socket(t, "tcp")
			go func() { far.Write(want); far.Close() }()
			return near
		}},
		{"Unix", [2]path{penstock.PathPages, penstock.PathSplice}, func(t *testing.T) io.Reader {
			near, far := socket(t, "unix")
			go func() { far.Write(want); far.Close() }()
			return near
		}},
		{"file", [2]path{penstock.PathPages, penstock.PathSplice}, func(t *testing.T) io.Reader {
			name := filepath.Join(t.TempDir(), "in")
			if err := os.WriteFile(name, want, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}},
		{"reader", [2]path{penstock.PathPages, penstock.PathReadWrite}, func(*testing.T) io.Reader {
			return bytes.NewReader(want)
		}},
	}
	sinks := []struct {
		name  string
		paths [2]path
		open  func(t *testing.T) (w io.Writer, got func() []byte)
	}{
		{"TCP", [2]path{penstock.PathPages, penstock.PathSplice}, func(t *testing.T) (io.Writer, func() []byte) {
			return drained(t, "tcp")
		}},
		{"Unix", [2]path{penstock.PathPages, penstock.PathSplice}, func(t *testing.T) (io.Writer, func() []byte) {
			return drained(t, "unix")
		}},
		{"file", [2]path{penstock.PathPages, penstock.PathSplice}, func(t *testing.T) (io.Writer, func() []byte) {
			return written(t, os.O_WRONLY)
		}},
		{"file opened to append", [2]path{penstock.PathPages, penstock.PathReadWrite}, func(t *testing.T) (io.Writer, func() []byte) {
			return written(t, os.O_WRONLY|os.O_APPEND)
		}},
		{"writer", [2]path{penstock.PathPages, penstock.PathReadWrite}, func(*testing.T) (io.Writer, func() []byte) {
			var b bytes.Buffer
			return &b, b.Bytes
		}},
	}
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		backing := memory
		if strings.HasSuffix(t.Name(), "kernel") {
			backing = kernel
		}
		for _, from := range sources {
			for _, to := range sinks {
				t.Run(from.name+" to "+to.name, func(t *testing.T) {
					w, got := to.open(t)
					src, sink, p := penstock.SourceOf(from.open(t)), penstock.SinkOf(w), open()
					for {
						n, err := src.SpliceRead(p, p.Cap(), 0)
						if err == io.EOF {
							break
						}
						if err != nil {
							t.Fatal(err)
						}
						if m, err := sink.SpliceWrite(p, n, 0); m != n || err != nil {
							t.Fatalf("%d of %d: %v", m, n, err)
						}
					}
					if !bytes.Equal(got(), want) {
						t.Error("the bytes differ")
					}
					if path, why := src.Path(p); path != from.paths[backing] {
						t.Errorf("source: %s (%s), want %s", path, why, from.paths[backing])
					}
					if path, why := sink.Path(p); path != to.paths[backing] {
						t.Errorf("sink: %s (%s), want %s", path, why, to.paths[backing])
					}
				})
			}
		}
	})
}

// drained returns a connection, and what its peer has received once it is closed.
func drained(t *testing.T, network string) (io.Writer, func() []byte) {
	near, far := socket(t, network)
	all := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(far)
		if err != nil {
			t.Error(err)
		}
		all <- b
	}()
	return near, func() []byte { near.Close(); return <-all }
}

func written(t *testing.T, flags int) (io.Writer, func() []byte) {
	name := filepath.Join(t.TempDir(), "out")
	f, err := os.OpenFile(name, flags|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f, func() []byte {
		f.Close()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// TestTeeAndSpliceBetweenBackings carries the same bytes between all four pairs of backings.
func TestTeeAndSpliceBetweenBackings(t *testing.T) {
	conduits(t, func(t *testing.T, from func() penstock.Conduit) {
		conduits(t, func(t *testing.T, to func() penstock.Conduit) {
			want := pattern(6000) // which a pipe of two slots holds, too
			src, tee, dst := from(), to(), to()
			if _, err := src.Write(want); err != nil {
				t.Fatal(err)
			}
			if n, err := penstock.Tee(context.Background(), tee, src, len(want), penstock.NonBlock); n != len(want) || err != nil {
				t.Fatalf("teed %d, %v", n, err)
			}
			if n, err := penstock.Splice(context.Background(), dst, src, len(want), penstock.NonBlock); n != len(want) || err != nil {
				t.Fatalf("spliced %d, %v", n, err)
			}
			if src.Len() != 0 {
				t.Errorf("%d bytes are left in the source", src.Len())
			}
			for _, p := range []penstock.Conduit{tee, dst} {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v", err)
				}
			}
		})
	})
}

func TestPeekConsumesNothingAndDiscardDoes(t *testing.T) {
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		p := open()
		p.Write([]byte("headbody"))
		b := make([]byte, 4)
		if n, err := p.PeekInto(b); n != 4 || string(b) != "head" || err != nil {
			t.Errorf("%d, %q, %v", n, b, err)
		}
		if n, err := p.Discard(4); n != 4 || err != nil {
			t.Errorf("discarded %d, %v", n, err)
		}
		if n, err := p.PeekInto(make([]byte, 9)); n != 4 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := p.Discard(9); n != 4 || err != nil || p.Len() != 0 {
			t.Errorf("discarded %d, %v; %d left", n, err, p.Len())
		}
	})
}

var errTest = errors.New("input/output error")

// stubborn takes so many bytes and then fails.
type stubborn struct {
	bytes.Buffer
	takes int
}

func (s *stubborn) Write(b []byte) (int, error) {
	n := min(len(b), s.takes-s.Len())
	s.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errTest
	}
	return n, nil
}

// TestAFailedSinkLeavesTheRestInThePipe fails at every offset of a stream: taken and left together are what there was.
func TestAFailedSinkLeavesTheRestInThePipe(t *testing.T) {
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		want := pattern(300)
		for takes := range len(want) {
			p := open()
			for i := 0; i < len(want); i += 100 {
				p.Write(want[i : i+100])
			}
			w := &stubborn{takes: takes}
			n, err := penstock.SinkOf(w).SpliceWrite(p, len(want), 0)
			side, ok := penstock.SideOf(err)
			if n != takes || !errors.Is(err, errTest) || !ok || side != penstock.SideSink {
				t.Fatalf("at %d: %d, %v", takes, n, err)
			}
			left := make([]byte, len(want)-takes)
			if _, err := io.ReadFull(p, left); err != nil {
				t.Fatalf("at %d: %v", takes, err)
			}
			if !bytes.Equal(append(w.Bytes(), left...), want) {
				t.Fatalf("at %d: something was lost or doubled", takes)
			}
			p.Close()
		}
	})
}

func TestNonBlockTakesWhatFitsAndSaysWhoWouldBlock(t *testing.T) {
	near, _ := socket(t, "tcp") // nobody reads
	sink := penstock.SinkOf(near)
	if !sink.Polls() {
		t.Skip("sockets do not poll on this system")
	}
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		p := open()
		for {
			n, err := p.Write(pattern(8 << 10))
			if err != nil {
				t.Fatal(err)
			}
			m, err := sink.SpliceWrite(p, n, penstock.NonBlock)
			if err == nil {
				continue
			}
			side, ok := penstock.SideOf(err)
			if !errors.Is(err, penstock.ErrWouldBlock) || !ok || side != penstock.SideSink || p.Len() != n-m {
				t.Errorf("%v; %d of %d, %d left", err, m, n, p.Len())
			}
			return
		}
	})
}

func TestInterruptEndsAWait(t *testing.T) {
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		near, _ := socket(t, "tcp")
		sink, p := penstock.SinkOf(near), open()
		done := make(chan error, 1)
		go func() {
			for {
				n, err := p.Write(pattern(8 << 10))
				if err == nil {
					_, err = sink.SpliceWrite(p, n, 0)
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
		sink.Interrupt()
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestSourceWaitsAreInterrupted(t *testing.T) {
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		near, far := socket(t, "tcp")
		src, p := penstock.SourceOf(near), open()
		done := make(chan error, 1)
		go func() {
			_, err := src.SpliceRead(p, 10, 0)
			done <- err
		}()
		if err := penstock.InterruptReads(src); err != nil {
			t.Fatal(err)
		}
		err := <-done
		if side, _ := penstock.SideOf(err); !errors.Is(err, os.ErrDeadlineExceeded) || side != penstock.SideSource {
			t.Errorf("%v", err)
		}
		if err := penstock.ResumeReads(src); err != nil {
			t.Fatal(err)
		}
		far.Write([]byte("x"))
		if n, err := src.SpliceRead(p, 10, 0); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	if err := penstock.InterruptReads(penstock.SourceOf(strings.NewReader(""))); !errors.Is(err, penstock.ErrCannotInterrupt) {
		t.Errorf("a reader without deadlines: %v", err)
	}
}

func TestLimitAndPrefix(t *testing.T) {
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		body := strings.NewReader("body and the next request")
		src := penstock.Limit(penstock.Prefix([]byte("head "), penstock.SourceOf(body)), 9)
		p := open()
		var err error
		for err == nil {
			_, err = src.SpliceRead(p, 3, 0)
		}
		got := make([]byte, 9)
		if _, rerr := io.ReadFull(p, got); err != io.EOF || rerr != nil || string(got) != "head body" || p.Len() != 0 {
			t.Errorf("%q, %v, %v, %d more", got, err, rerr, p.Len())
		}
		if rest, _ := io.ReadAll(body); string(rest) != " and the next request" {
			t.Errorf("behind the limit stands %q", rest)
		}

		short := penstock.Limit(penstock.SourceOf(strings.NewReader("abc")), 4)
		short.SpliceRead(p, 4, 0)
		if _, err := short.SpliceRead(p, 4, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a source that ends before the limit: %v", err)
		}
	})
}

func TestAResetPeerIsTheSinksFault(t *testing.T) {
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		near, far := socket(t, "tcp")
		far.(*net.TCPConn).SetLinger(0)
		far.Close()
		sink, p := penstock.SinkOf(near), open()
		near.SetReadDeadline(time.Now().Add(10 * time.Second))
		near.Read(make([]byte, 1)) // the reset has come
		p.Write([]byte("lost?"))
		n, err := sink.SpliceWrite(p, 5, 0)
		side, _ := penstock.SideOf(err)
		if n != 0 || side != penstock.SideSink || !(errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
			t.Errorf("%d, %v", n, err)
		}
		if p.Len() != 5 {
			t.Errorf("%d bytes are left, want 5", p.Len())
		}
	})
}
