package penstock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var systemPage = os.Getpagesize()

// newMapping is a mapping of so many pages that differ, and those.
func newMapping(t *testing.T, pages int) (*Mapping, []byte) {
	t.Helper()
	m, err := NewMapping(pages * systemPage)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	for i := range m.Bytes() {
		m.Bytes()[i] = byte(i ^ i>>8 ^ i>>12)
	}
	return m, bytes.Clone(m.Bytes())
}

// twoSlots is a pipe of two slots.
func twoSlots(t *testing.T) *KernelPipe {
	t.Helper()
	p := newKernelPipe(t, 2*systemPage)
	if p.Slots() != 2 {
		t.Skipf("%d slots: this user's budget is gone", p.Slots())
	}
	return p
}

// TestVmspliceOfAMapping, by each way that the system may have for it.
func TestVmspliceOfAMapping(t *testing.T) {
	t.Run("vmsplice", vmspliceOfAMapping)
	t.Run("refused", func(t *testing.T) {
		if inChild(t, nil) {
			refuseVmsplice(t)
			vmspliceOfAMapping(t)
		}
	})
}

func vmspliceOfAMapping(t *testing.T) {
	t.Run("a gift is nobody else's, whatever is written to the mapping afterwards", func(t *testing.T) {
		p, tee := twoSlots(t), twoSlots(t)
		for round := range 20 {
			m, want := newMapping(t, 2)
			if n, err := p.Vmsplice(background, m, 0, 2*systemPage, Gift); n != 2*systemPage || err != nil {
				t.Fatalf("round %d: %d, %v", round, n, err)
			}
			if !bytes.Equal(m.Bytes(), make([]byte, 2*systemPage)) {
				t.Fatal("the mapping shows more than zeroes")
			}
			if _, err := Tee(background, tee, p, 2*systemPage, 0); err != nil {
				t.Fatal(err)
			}
			for i := range m.Bytes() {
				m.Bytes()[i] = 0xDB
			}
			for _, q := range []*KernelPipe{p, tee} {
				if got := mustRead(t, q, len(want)); got != string(want) {
					t.Fatal("a reader sees what was written afterwards")
				}
			}
			if m.Bytes()[0] != 0xDB || m.Bytes()[2*systemPage-1] != 0xDB {
				t.Fatal("the mapping does not keep what is written to it")
			}
		}
	})
	t.Run("what is lent is what is read, at any offset", func(t *testing.T) {
		m, want := newMapping(t, 2)
		p := newKernelPipe(t, 0)
		for _, r := range [][2]int{{0, 1}, {1, 100}, {100, systemPage}, {systemPage - 1, 2}, {0, 2 * systemPage}, {5, 0}} {
			n, err := p.Vmsplice(background, m, r[0], r[1], 0)
			if n != r[1] || err != nil {
				t.Errorf("%v: %d, %v", r, n, err)
			} else if got := mustRead(t, p, n); got != string(want[r[0]:r[0]+n]) {
				t.Errorf("%v: other bytes", r)
			}
		}
		if !bytes.Equal(m.Bytes(), want) {
			t.Error("what was lent has changed")
		}
	})
	t.Run("a mapping may be closed while a pipe holds it", func(t *testing.T) {
		for _, flags := range []Flags{0, Gift} {
			p := twoSlots(t)
			m, want := newMapping(t, 2)
			if _, err := p.Vmsplice(background, m, 0, len(want), flags); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if m.Bytes() != nil {
				t.Error("memory of a closed mapping")
			}
			if got := mustRead(t, p, len(want)); got != string(want) {
				t.Error("other bytes")
			}
			_, err := p.Vmsplice(background, m, 0, systemPage, 0)
			if side, _ := SideOf(err); !errors.Is(err, os.ErrClosed) || side != SideSource {
				t.Errorf("of a closed mapping: %v", err)
			}
		}
	})
	t.Run("NonBlock takes what there is room for, and leaves the rest", func(t *testing.T) {
		p := twoSlots(t)
		p.Write(make([]byte, systemPage))
		m, want := newMapping(t, 3)
		n, err := p.Vmsplice(background, m, 0, len(want), Gift|NonBlock)
		if side, _ := SideOf(err); n != systemPage || !errors.Is(err, ErrWouldBlock) || side != SidePipe {
			t.Errorf("%d, %v", n, err)
		}
		if !bytes.Equal(m.Bytes()[:n], make([]byte, n)) || !bytes.Equal(m.Bytes()[n:], want[n:]) {
			t.Error("the mapping is not zeroes and then the rest")
		}
		if n, err := p.Vmsplice(background, m, n, systemPage, Gift|NonBlock); n != 0 || !errors.Is(err, ErrWouldBlock) {
			t.Errorf("into a full pipe: %d, %v", n, err)
		}
		mustRead(t, p, systemPage)
		if got := mustRead(t, p, systemPage); got != string(want[:systemPage]) {
			t.Error("other bytes")
		}
	})
	t.Run("it waits for room until all is in", func(t *testing.T) {
		p := twoSlots(t)
		m, want := newMapping(t, 40)
		over := make(chan error, 1)
		go func() {
			n, err := p.Vmsplice(background, m, 0, len(want), Gift)
			if err == nil && n != len(want) {
				err = fmt.Errorf("%d bytes", n)
			}
			over <- err
		}()
		if got := mustRead(t, p, len(want)); got != string(want) {
			t.Error("other bytes")
		}
		if err := endsSoon(t, func() error { return <-over }); err != nil {
			t.Error(err)
		}
	})
	t.Run("a context, a deadline or the reader's leaving ends the wait, and the count is told", func(t *testing.T) {
		for name, tt := range map[string]struct {
			end   func(p *KernelPipe, cancel func(error))
			cause error
		}{
			"context":  {func(_ *KernelPipe, cancel func(error)) { cancel(errCancelled) }, errCancelled},
			"deadline": {func(p *KernelPipe, _ func(error)) { p.SetWriteDeadline(time.Now()) }, os.ErrDeadlineExceeded},
			"reader":   {func(p *KernelPipe, _ func(error)) { p.CloseRead() }, syscall.EPIPE},
			"close":    {func(p *KernelPipe, _ func(error)) { p.Close() }, os.ErrClosed},
		} {
			p := twoSlots(t)
			m, want := newMapping(t, 3)
			ctx, cancel := context.WithCancelCause(background)
			defer cancel(nil)
			go func() {
				for p.Len() < 2*systemPage {
					runtime.Gosched()
				}
				tt.end(p, cancel)
			}()
			var n int
			err := endsSoon(t, func() (err error) { n, err = p.Vmsplice(ctx, m, 0, len(want), Gift); return err })
			if side, _ := SideOf(err); n != 2*systemPage || !errors.Is(err, tt.cause) || side != SidePipe {
				t.Errorf("%s: %d, %v", name, n, err)
			}
			if !bytes.Equal(m.Bytes()[n:], want[n:]) {
				t.Errorf("%s: what was not taken has changed", name)
			}
		}
	})
	t.Run("without a reader it breaks, and nothing is given", func(t *testing.T) {
		p := twoSlots(t)
		p.CloseRead()
		m, want := newMapping(t, 1)
		if n, err := p.Vmsplice(background, m, 0, systemPage, Gift); n != 0 || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%d, %v", n, err)
		}
		if !bytes.Equal(m.Bytes(), want) {
			t.Error("it has changed")
		}
	})
}

// refuseVmsplice makes the system refuse it from now on, as the profiles of containers do.
func refuseVmsplice(t *testing.T) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_VMSPLICE},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skip(err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		t.Skip(errno)
	}
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Vmsplice(fds[1], nil, 0); err != unix.EPERM {
		t.Fatalf("vmsplice is not refused: %v", err)
	}
}

// TestAGiftOfLockedMemoryIsAGift, though the system does not give up pages that are locked for the asking.
func TestAGiftOfLockedMemoryIsAGift(t *testing.T) {
	p := twoSlots(t)
	m, want := newMapping(t, 2)
	if err := unix.Mlock(m.Bytes()); err != nil {
		t.Skip(err)
	}
	if n, err := p.Vmsplice(background, m, 0, len(want), Gift); n != len(want) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	for i, b := range m.Bytes() {
		if b != 0 {
			t.Fatalf("byte %d is not zero", i)
		}
		m.Bytes()[i] = 0xDB
	}
	if got := mustRead(t, p, len(want)); got != string(want) {
		t.Error("a reader sees what was written afterwards")
	}
}

func TestAMappingIsWholePagesAndItsRangesAreWithinIt(t *testing.T) {
	for _, n := range []int{0, -1, math.MaxInt} {
		if _, err := NewMapping(n); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	m, err := NewMapping(1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if len(m.Bytes()) != systemPage {
		t.Errorf("%d bytes", len(m.Bytes()))
	}
	p := newKernelPipe(t, 0)
	for _, r := range []struct {
		off, n int
		flags  Flags
	}{
		{-1, 1, 0},
		{0, -1, 0},
		{0, systemPage + 1, 0},
		{systemPage, 1, 0},
		{math.MaxInt, 1, 0},
		{1, math.MaxInt, 0},
		{1, systemPage - 1, Gift},
		{0, systemPage - 1, Gift},
		{0, 2 * systemPage, Gift},
	} {
		n, err := p.Vmsplice(background, m, r.off, r.n, r.flags)
		if side, _ := SideOf(err); n != 0 || !errors.Is(err, syscall.EINVAL) || side != SideSource {
			t.Errorf("%+v: %d, %v", r, n, err)
		}
	}
	if p.Len() != 0 {
		t.Errorf("%d bytes in the pipe", p.Len())
	}
}
