package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon is a context that is done as soon as anything could have begun to wait.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(background, 5*time.Millisecond, errCancelled)
	t.Cleanup(cancel)
	return ctx
}

// endsSoon fails the test if a call does not return.
func endsSoon(t *testing.T, call func() error) error {
	t.Helper()
	over := make(chan error, 1)
	go func() { over <- call() }()
	select {
	case err := <-over:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
		return nil
	}
}

// stuff fills a descriptor until it takes no more.
func stuff(t *testing.T, c syscall.Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Write(func(fd uintptr) bool {
		for _, n := range []int{MinPageSize, 1} {
			for err = nil; err == nil; {
				_, err = syscall.Write(int(fd), make([]byte, n))
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAWaitForAPipeOfTheSystemEndsWithItsContext, be it one of two descriptors or one with a name.
func TestAWaitForAPipeOfTheSystemEndsWithItsContext(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (r, w *os.File){
		"os.Pipe": func(t *testing.T) (r, w *os.File) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			return r, w
		},
		"FIFO": func(t *testing.T) (r, w *os.File) {
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := os.OpenFile(fifo, os.O_RDWR, 0) // alone it would wait for a writer
			if err != nil {
				t.Fatal(err)
			}
			w, err = os.OpenFile(fifo, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			return r, w
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachBacking(t, func(t *testing.T, p Conduit) {
				r, w := open(t)
				defer r.Close()
				defer w.Close()
				err := endsSoon(t, func() error { _, err := Splice(soon(t), p, r, 100, 0); return err })
				if side, _ := SideOf(err); !errors.Is(err, errCancelled) || side != SideSource {
					t.Errorf("out of it: %v", err)
				}
				stuff(t, w)
				p.Write([]byte("kept"))
				err = endsSoon(t, func() error { _, err := Splice(soon(t), w, p, 4, 0); return err })
				if side, _ := SideOf(err); !errors.Is(err, errCancelled) || side != SideSink {
					t.Errorf("into it: %v", err)
				}
				if got := mustRead(t, p, 4); got != "kept" {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// waitsIn sees that so many calls use an end of a kernel pipe, and that somebody waits for it.
func waitsIn(e *end, calls int64) {
	for e.state.Load() < calls || e.file.Load() == nil {
		runtime.Gosched()
	}
}

// TestACancelledSpliceDisturbsNobodyElse who waits at the same end of a kernel pipe.
func TestACancelledSpliceDisturbsNobodyElse(t *testing.T) {
	for range 20 { // it depends on who is how far
		k := newKernelPipe(t, MinPageSize)
		ctx, cancel := context.WithCancelCause(background)
		read, spliced := make(chan error, 1), make(chan error, 1)
		go func() { _, err := k.Read(make([]byte, 10)); read <- err }()
		waitsIn(&k.r, 1)
		p := smallPipe(t, 1)
		go func() { _, err := Splice(ctx, p, k, 10, 0); spliced <- err }()
		waitsIn(&k.r, 2)
		cancel(errCancelled)
		if err := endsSoon(t, func() error { return <-spliced }); !errors.Is(err, errCancelled) {
			t.Errorf("splice: %v", err)
		}
		select {
		case err := <-read:
			t.Fatalf("who read was told: %v", err)
		default:
		}
		k.Write([]byte("x"))
		if err := endsSoon(t, func() error { return <-read }); err != nil {
			t.Fatalf("read: %v", err)
		}
	}
}

// TestACancelledSpliceLeavesTheDeadlinesOfAKernelPipe as they were set, of either end.
func TestACancelledSpliceLeavesTheDeadlinesOfAKernelPipe(t *testing.T) {
	k := newKernelPipe(t, MinPageSize)
	k.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	p := smallPipe(t, 1)
	err := endsSoon(t, func() error { _, err := Splice(soon(t), p, k, 10, 0); return err })
	if !errors.Is(err, errCancelled) {
		t.Errorf("%v", err)
	}
	err = endsSoon(t, func() error { _, err := k.Read(make([]byte, 10)); return err })
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}

	k.Write(make([]byte, k.Cap()))
	k.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	p.Write([]byte("x"))
	err = endsSoon(t, func() error { _, err := Splice(soon(t), k, p, 10, 0); return err })
	if !errors.Is(err, errCancelled) {
		t.Errorf("%v", err)
	}
	err = endsSoon(t, func() error { _, err := k.Write([]byte("x")); return err })
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
}

// TestAClosedKernelPipeSaysSo, and not that it would block.
func TestAClosedKernelPipeSaysSo(t *testing.T) {
	for name, call := range map[string]func(k *KernelPipe, p *Pipe, flags Flags) error{
		"Splice to a writer": func(k *KernelPipe, _ *Pipe, f Flags) error {
			_, err := Splice(background, io.Discard, k, 9, f)
			return err
		},
		"Splice from a reader": func(k *KernelPipe, _ *Pipe, f Flags) error {
			_, err := Splice(background, k, strings.NewReader("x"), 9, f)
			return err
		},
		"Splice to a pipe":   func(k *KernelPipe, p *Pipe, f Flags) error { _, err := Splice(background, p, k, 9, f); return err },
		"Splice from a pipe": func(k *KernelPipe, p *Pipe, f Flags) error { _, err := Splice(background, k, p, 9, f); return err },
		"Tee":                func(k *KernelPipe, p *Pipe, f Flags) error { _, err := Tee(background, p, k, 9, f); return err },
		"Read":               func(k *KernelPipe, _ *Pipe, _ Flags) error { _, err := k.Read(make([]byte, 1)); return err },
		"Write":              func(k *KernelPipe, _ *Pipe, _ Flags) error { _, err := k.Write(make([]byte, 1)); return err },
		"Discard":            func(k *KernelPipe, _ *Pipe, _ Flags) error { _, err := k.Discard(1); return err },
		"PeekInto":           func(k *KernelPipe, _ *Pipe, _ Flags) error { _, err := k.PeekInto(make([]byte, 1)); return err },
		"SetReadDeadline":    func(k *KernelPipe, _ *Pipe, _ Flags) error { return k.SetReadDeadline(time.Time{}) },
	} {
		t.Run(name, func(t *testing.T) {
			leakless(t)
			k, p := newKernelPipe(t, 0), smallPipe(t, 4)
			p.Write([]byte("kept"))
			k.Close()
			for _, flags := range []Flags{0, NonBlock} {
				if err := endsSoon(t, func() error { return call(k, p, flags) }); !errors.Is(err, os.ErrClosed) {
					t.Errorf("flags %d: %v", flags, err)
				}
			}
			if p.Len() != 4 {
				t.Errorf("%d bytes are left", p.Len())
			}
		})
	}
}

// TestAResetBehindBytesIsTold by a loop of Splice, each of which has a Source of its own: a socket tells it once, and
// then looks like at its end.
func TestAResetBehindBytesIsTold(t *testing.T) {
	eachBacking(t, func(t *testing.T, p Conduit) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		near, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("x"), 2*MinPageSize)
		far.Write(want)
		far.(*net.TCPConn).SetLinger(0) // Close resets
		far.Close()
		untilReset(t, near.(*net.TCPConn))
		var got bytes.Buffer
		for err == nil {
			var n int
			n, err = Splice(background, p, near, 1<<20, 0)
			got.WriteString(mustRead(t, p, n))
		}
		if side, _ := SideOf(err); !errors.Is(err, syscall.ECONNRESET) || side != SideSource || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%v behind %d bytes", err, got.Len())
		}
	})
}

// untilReset returns when a connection has seen its peer's reset. To ask it for its error would take that away.
func untilReset(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for over := false; !over; runtime.Gosched() {
		cerr := raw.Control(func(fd uintptr) {
			var info *unix.TCPInfo
			info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			over = err != nil || info.State == unix.BPF_TCP_CLOSE
		})
		if err := errors.Join(err, cerr); err != nil {
			t.Fatal(err)
		}
	}
}

// emptying is a page that another reader takes, and that tells when, once it has been looked at a few times.
type emptying struct {
	*page
	pipe  *Pipe
	taken func()
	looks atomic.Int32
}

func (e *emptying) Confirm(context.Context) error {
	if e.looks.Add(1) > 2 {
		if n, _ := e.pipe.Discard(5); n > 0 { // refused while the sink has a claim on it
			e.taken()
		}
	}
	return nil
}

// TestASpliceIntoAStuckSocketEndsThoughOthersHadTheBytes: the socket is waited for, and what there was to be written goes
// to another reader in the very moment that it is looked at again.
func TestASpliceIntoAStuckSocketEndsThoughOthersHadTheBytes(t *testing.T) {
	leakless(t)
	name := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	stuff(t, near.(*net.UnixConn))
	p := smallPipe(t, 4)
	ctx, cancel := context.WithCancelCause(background)
	pg := &emptying{page: foreignPage([]byte("bytes"), true, nil), pipe: p, taken: func() { cancel(errCancelled) }}
	b, err := NewBuffer(pg, 0, 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Push(background, b, 0); err != nil {
		t.Fatal(err)
	}
	n, err := 0, error(nil)
	err = endsSoon(t, func() error { n, err = Splice(ctx, near, p, 5, 0); return err })
	if n != 0 || !errors.Is(err, errCancelled) || p.Len() != 0 {
		t.Errorf("%d, %v; %d bytes are left", n, err, p.Len())
	}
}
