package penstock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What only a process of its own can show.

// brokenStdout gives a child a standard output without a reader.
func brokenStdout(t *testing.T, r, w *os.File) func(*child) {
	return func(c *child) {
		r.Close()
		c.Args = c.Args[:2] // without -test.v, which writes to it
		c.Stdout = w
		t.Cleanup(func() { w.Close() })
	}
}

// TestABrokenStdoutIsAnErrorAndNotDeath: Go ends a process that os.File finds EPIPE at on descriptor 1.
func TestABrokenStdoutIsAnErrorAndNotDeath(t *testing.T) {
	for name, open := range map[string]func() (r, w *os.File, err error){
		"pipe": os.Pipe,
		"FIFO": func() (r, w *os.File, err error) {
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				return nil, nil, err
			}
			if r, err = os.OpenFile(fifo, os.O_RDWR, 0); err == nil {
				w, err = os.OpenFile(fifo, os.O_WRONLY, 0)
			}
			return r, w, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, w, err := open()
			if err != nil {
				t.Fatal(err)
			}
			if !inChild(t, brokenStdout(t, r, w)) {
				return
			}
			os.Exit(writeToBrokenStdout()) // without a word of the testing package's to it
		})
	}
}

// writeToBrokenStdout returns the exit status.
func writeToBrokenStdout() int {
	fail := func(what string, err error) int {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		return 1
	}
	p, err := AdoptKernelPipe(nil, os.Stdout)
	if err != nil {
		return fail("adopt", err)
	}
	for range 3 {
		_, err := p.Write([]byte("x"))
		if side, _ := SideOf(err); !errors.Is(err, syscall.EPIPE) || side != SidePipe {
			return fail("write", err)
		}
		_, err = Splice(background, p, strings.NewReader("x"), 1, 0)
		if side, _ := SideOf(err); !errors.Is(err, syscall.EPIPE) || side != SideSink {
			return fail("splice", err)
		}
		q, err := NewKernelPipe(0)
		if err != nil {
			return fail("pipe", err)
		}
		q.Write([]byte("x"))
		_, err = SinkOf(p).SpliceWrite(q, 1, 0)
		if side, _ := SideOf(err); !errors.Is(err, syscall.EPIPE) || side != SideSink || q.Len() != 1 {
			return fail("splice through a sink", err)
		}
	}
	return 0
}

// blockedDescription tells whether a descriptor's description blocks.
func blockedDescription(t *testing.T, f *os.File) bool {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var flags int
	if err := raw.Control(func(fd uintptr) { flags, _ = unix.FcntlInt(fd, unix.F_GETFL, 0) }); err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK == 0
}

// sharedPipe is a pipe that blocks, of the parent's, that a child has as stdin.
func sharedPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// TestAPipeThatCannotBeOpenedAnewIsWaitedForInAThread: it is somebody else's, or there is no /proc.
func TestAPipeThatCannotBeOpenedAnewIsWaitedForInAThread(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv("PENSTOCK_CHILD") == "" {
		t.Skip("only root may become somebody else")
	}
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	for name, attr := range map[string]*syscall.SysProcAttr{"another's": nobody, "no proc": nil} {
		t.Run(name, func(t *testing.T) {
			r, w := sharedPipe(t)
			if inChild(t, func(c *child) {
				c.forEverybody(t)
				c.Stdin, c.SysProcAttr = r, attr
			}) {
				if attr == nil {
					if err := syscall.Chroot(t.TempDir()); err != nil {
						t.Fatal(err)
					}
				}
				waitInAThread(t)
				return
			}
			if !blockedDescription(t, r) {
				t.Error("the parent's end does not block any more")
			}
			w.Close() // not before: the child must not see the end
		})
	}
}

// waitInAThread adopts a standard input that blocks, and that the parent still holds the other end of.
func waitInAThread(t *testing.T) {
	p, err := AdoptKernelPipe(os.Stdin, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !p.r.shared {
		t.Error("it was opened anew")
	}
	if _, err := p.TryRead(make([]byte, 1)); !errors.Is(err, ErrWouldBlock) {
		t.Errorf("try: %v", err)
	}
	p.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	p.SetReadDeadline(time.Time{})
	if _, err := p.ReadContext(soon(t), make([]byte, 1)); !errors.Is(err, errCancelled) {
		t.Errorf("context: %v", err)
	}
	q := newKernelPipe(t, 0)
	if _, err := Splice(soon(t), q, p, 1, 0); !errors.Is(err, errCancelled) {
		t.Errorf("splice: %v", err)
	}
	if !blockedDescription(t, os.Stdin) {
		t.Error("the description that others share does not block any more")
	}
	over := make(chan error, 1)
	go func() { _, err := p.Read(make([]byte, 1)); over <- err }()
	becomes(t, "the read is in progress", func() bool { return p.r.state.Load() == 1 })
	p.Close()
	if err := endsSoon(t, func() error { return <-over }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

// TestWithoutProcAnEndIsNotPassedOn.
func TestWithoutProcAnEndIsNotPassedOn(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	if err := syscall.Chroot(t.TempDir()); err != nil {
		t.Skip(err)
	}
	p := newKernelPipe(t, 0)
	for _, end := range []func() (*os.File, error){p.ReadEnd, p.WriteEnd} {
		f, err := end()
		var op *OpError
		if f != nil || !errors.Is(err, os.ErrNotExist) || !errors.As(err, &op) {
			t.Errorf("%v", err)
		}
	}
	p.Write([]byte("kept"))
	if got := mustRead(t, p, 4); got != "kept" {
		t.Errorf("%q", got)
	}
}
