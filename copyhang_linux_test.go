package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// What would wait where nothing ends it, spin, take the process down, or hold what others could use: each was so once.

// cancelledAt runs a transfer, and cancels it when it waits for a side. It fails the test if that does not end it.
func cancelledAt(t *testing.T, tr *penstock.Transfer, side penstock.Side) (rep penstock.Report, err error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	_, err = promptly(t, func() (int, error) {
		whenStalled(t, tr, side, func() { cancel(errGone) })
		rep, err = tr.Run(ctx)
		return 0, err
	})
	if !errors.Is(err, errGone) {
		t.Fatalf("it was cancelled, and says %v", err)
	}
	return rep, err
}

// TestTheLogOfTheKernelIsWaitedFor: /dev/kmsg has the major number of the devices that never wait. Taken for one of them
// it would be asked again and again, and no context would end that.
func TestTheLogOfTheKernelIsWaitedFor(t *testing.T) {
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			log, err := os.Open("/dev/kmsg")
			if err != nil {
				t.Skip(err)
			}
			defer log.Close()
			if _, err := log.Seek(0, io.SeekEnd); err != nil {
				t.Skip(err)
			}
			_, err = cancelledAt(t, penstock.NewTransfer(io.Discard, log, by.opts...), penstock.SideSource)
			if side, _ := penstock.SideOf(err); side != penstock.SideSource {
				t.Error(err)
			}
		})
	}
}

// blockingUnix is a connection as a file that blocks.
func blockingUnix(t *testing.T, c net.Conn) *os.File {
	t.Helper()
	f, err := c.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := syscall.SetNonblock(int(f.Fd()), false); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAFullSocketThatBlocksIsWaitedForBeforeItIsWritten: splice(2) and sendfile(2) into one sleep in the kernel, whatever
// their flags, and a context would not end them. The bytes are still there for who goes on.
func TestAFullSocketThatBlocksIsWaitedForBeforeItIsWritten(t *testing.T) {
	data := pattern(5000)
	for _, by := range manners(t) {
		for _, from := range origins() {
			t.Run(from.name+", "+by.name, func(t *testing.T) {
				near, far := socket(t, "unix")
				dst := blockingUnix(t, near)
				fills(t, dst)
				src := from.open(t, data)
				rep, err := cancelledAt(t, penstock.NewTransfer(dst, src, by.opts...), penstock.SideSink)
				accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, errGone))
				far.Close() // and who sleeps there after all is woken
				completes(t, data, src, err, by.opts...)
			})
		}
		t.Run("FIFO that was empty, "+by.name, func(t *testing.T) {
			near, far := socket(t, "unix")
			dst := blockingUnix(t, near)
			fills(t, dst)
			src, w := fifo(t)
			tr := penstock.NewTransfer(dst, src, by.opts...)
			whenStalled(t, tr, penstock.SideSource, func() {
				w.Write(data)
				w.Close()
			})
			rep, err := cancelledAt(t, tr, penstock.SideSink)
			accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, errGone))
			far.Close()
			completes(t, data, src, err, by.opts...)
		})
	}
}

// TestResumeIsInterruptedWhileItWaitsForAReadLeftBehind: what was in flight may never be complete, as of a peer that is
// dead. It stays in flight, and is there once the Read has returned.
func TestResumeIsInterruptedWhileItWaitsForAReadLeftBehind(t *testing.T) {
	sinks(t, func(t *testing.T, open func() (io.Writer, func() []byte)) {
		answer := make(chan struct{})
		left := []byte("late")
		src := reading(func(b []byte) (int, error) {
			<-answer
			n := copy(b, left)
			left = left[n:]
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		})
		dst, got := open()
		_, err := cancelledAt(t, penstock.NewTransfer(dst, src), penstock.SideSource)
		for range 2 {
			ctx, cancel := context.WithCancelCause(background)
			_, err = promptly(t, func() (int, error) {
				_, err := penstock.Resume(ctx, dst, src, err, penstock.WithProgress(time.Millisecond,
					func(r penstock.Report) {
						if r.Waiting == penstock.SideSource {
							cancel(errGone)
						}
					}))
				return 0, err
			})
			cancel(nil)
			failedAt(t, err, penstock.SideSource, 0, errGone)
		}
		close(answer)
		if _, err := penstock.Resume(background, dst, src, err); err != nil {
			t.Error(err)
		}
		if b := got(); string(b) != "late" {
			t.Errorf("the sink got %q", b)
		}
	})
}

// TestAPanicOfAReaderComesOutOfTheCopy, as out of io.Copy, where the caller recovers it. The Read is in another goroutine
// when the transfer can be interrupted; there the panic would end the process.
func TestAPanicOfAReaderComesOutOfTheCopy(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	for name, opts := range map[string][]penstock.Option{
		"a context":       nil,
		"an idle timeout": {penstock.WithIdleTimeout(time.Minute)},
	} {
		sinks(t, func(t *testing.T, open func() (io.Writer, func() []byte)) {
			dst, got := open()
			calls := 0
			src := reading(func(b []byte) (int, error) {
				if calls++; calls == 3 {
					panic(errTest)
				}
				return copy(b, "bytes"), nil
			})
			func() {
				defer func() {
					if v := recover(); v != error(errTest) {
						t.Errorf("%s: recovered %v", name, v)
					}
				}()
				rep, err := penstock.Copy(ctx, dst, src, opts...)
				t.Errorf("%s: no panic: %v, %v", name, rep, err)
			}()
			if b := got(); string(b) != "bytesbytes" {
				t.Errorf("%s: the sink got %q", name, b)
			}
		})
	}
}

// TestAQuietSourceThatBlocksHoldsNoPipe: after much that went by splice it would keep a pipe of a megabyte for as long as it
// is quiet, which may be hours, and thousands of those are a machine's.
func TestAQuietSourceThatBlocksHoldsNoPipe(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 32)
	for name, open := range map[string]func(t *testing.T) (io.Reader, net.Conn){
		"Unix": func(t *testing.T) (io.Reader, net.Conn) {
			near, far := socket(t, "unix")
			return blockingUnix(t, near), far
		},
		"TCP": func(t *testing.T) (io.Reader, net.Conn) {
			near, far := socket(t, "tcp")
			return blockingTCP(t, near), far
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := penstock.NewPool(0)
			defer pool.Close()
			src, in := open(t)
			near, far := socket(t, "tcp")
			tr := penstock.NewTransfer(near, src, penstock.WithPool(pool))
			over := make(chan error, 1)
			go func() { _, err := tr.Run(background); over <- err }()
			go in.Write(data)
			receive(t, far, data)
			stalled(t, tr, penstock.SideSource)
			if rep := tr.Report(); rep.By(penstock.PathSplice) == 0 {
				t.Errorf("nothing went by splice: %v", rep)
			}
			if s := pool.Stats(); s.Held != s.Idle {
				t.Errorf("it is quiet, and holds pipes of %d bytes", s.Held-s.Idle)
			}
			in.Close()
			if _, err := promptly(t, func() (int, error) { return 0, <-over }); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAFileThatBecameNonBlockingLaterIsWaitedFor: another process that shares its description sets the flag, and package
// os, which looked when the file was opened, has not told the runtime's poller. That one would refuse to wait.
func TestAFileThatBecameNonBlockingLaterIsWaitedFor(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 4)
	late := func(t *testing.T, f *os.File) {
		t.Helper()
		raw, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		cerr := raw.Control(func(fd uintptr) { err = syscall.SetNonblock(int(fd), true) })
		if err := errors.Join(err, cerr); err != nil {
			t.Fatal(err)
		}
	}
	for _, by := range manners(t) {
		t.Run("source, "+by.name, func(t *testing.T) {
			src, w := blockingFIFO(t)
			late(t, src)
			var got bytes.Buffer
			tr := penstock.NewTransfer(&got, src, by.opts...)
			whenStalled(t, tr, penstock.SideSource, func() {
				w.Write(data)
				w.Close()
			})
			if _, err := tr.Run(background); err != nil || !bytes.Equal(got.Bytes(), data) {
				t.Errorf("%d bytes of %d, or others: %v", got.Len(), len(data), err)
			}
		})
		t.Run("sink, "+by.name, func(t *testing.T) {
			r, dst := blockingFIFO(t)
			shrink(t, dst)
			late(t, dst)
			tr := penstock.NewTransfer(dst, tcpSource(t, data), by.opts...)
			over := make(chan error, 1)
			go func() { _, err := tr.Run(background); over <- err }()
			stalled(t, tr, penstock.SideSink)
			got := drink(t, r)
			_, err := promptly(t, func() (int, error) { return 0, <-over })
			dst.Close()
			if b := got(); err != nil || !bytes.Equal(b, data) {
				t.Errorf("%d bytes of %d, or others: %v", len(b), len(data), err)
			}
		})
	}
}
