package penstock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock/internal/kernel"
)

// Ends whose description is not ours alone.

// sharedFIFO is a pipe with a name that does not block, adopted, and the file that shares its description.
func sharedFIFO(t *testing.T) (p *KernelPipe, f *os.File) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if p, err = AdoptKernelPipe(f, f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, f
}

// TestAFIFOThatOthersMakeBlockIsStillInterrupted: File.Fd does it, and exec.Cmd by way of that, to whoever has the
// description.
func TestAFIFOThatOthersMakeBlockIsStillInterrupted(t *testing.T) {
	calls := map[string]func(ctx context.Context, p *KernelPipe) error{
		"read": func(ctx context.Context, p *KernelPipe) error {
			_, err := p.ReadContext(ctx, make([]byte, 1))
			return err
		},
		"write": func(ctx context.Context, p *KernelPipe) error {
			_, err := p.WriteContext(ctx, make([]byte, 2*p.Cap()))
			return err
		},
		"vmsplice": func(ctx context.Context, p *KernelPipe) error {
			n := 2 * p.Cap()
			m, err := NewMapping(n)
			if err == nil {
				defer m.Close()
				_, err = p.Vmsplice(ctx, m, 0, n, 0)
			}
			return err
		},
	}
	ends := map[error]func(p *KernelPipe, cancel context.CancelCauseFunc){
		os.ErrClosed:           func(p *KernelPipe, _ context.CancelCauseFunc) { p.Close() },
		os.ErrDeadlineExceeded: func(p *KernelPipe, _ context.CancelCauseFunc) { p.SetDeadline(past) },
		errCancelled:           func(_ *KernelPipe, cancel context.CancelCauseFunc) { cancel(errCancelled) },
	}
	for name, call := range calls {
		for want, end := range ends {
			t.Run(name+", "+want.Error(), func(t *testing.T) {
				for _, waits := range []bool{false, true} { // already, when it is made to block
					p, f := sharedFIFO(t)
					ctx, cancel := context.WithCancelCause(background)
					over := make(chan error, 1)
					if !waits {
						f.Fd()
					}
					go func() { over <- call(ctx, p) }()
					becomes(t, "the call is in progress", func() bool {
						return p.r.state.Load()+p.w.state.Load() > 0 && (name == "read" || p.Len() > 0)
					})
					if waits {
						f.Fd()
					}
					end(p, cancel)
					if err := endsSoon(t, func() error { return <-over }); !errors.Is(err, want) {
						t.Errorf("%v", err)
					}
				}
			})
		}
	}
}

// TestADeadlineThatIsTakenBackInterruptsNobody who waits in a thread: either it was seen, or the wait goes on.
func TestADeadlineThatIsTakenBackInterruptsNobody(t *testing.T) {
	r, w := sharedPipe(t)
	p := sharedEnd(t, r)
	for n := range 500 {
		over := make(chan error, 1)
		go func() { _, err := p.Read(make([]byte, 1)); over <- err }()
		becomes(t, "the read is in progress", func() bool { return p.r.state.Load() == 1 })
		for range n % 20 { // it depends on who is how far
			runtime.Gosched()
		}
		p.SetReadDeadline(past)
		for range n % 7 {
			runtime.Gosched()
		}
		p.SetReadDeadline(time.Time{})
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := endsSoon(t, func() error { return <-over }); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%d: %v", n, err)
			}
			p.Discard(1)
		}
	}
}

// sharedEnd is what is adopted of a read end that cannot be opened anew.
func sharedEnd(t *testing.T, r *os.File) *KernelPipe {
	t.Helper()
	p := new(KernelPipe)
	p.w.omit()
	raw, err := r.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { p.r.fd, err = kernel.Dup(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
	p.r.shared = true
	t.Cleanup(func() { p.Close() })
	return p
}
