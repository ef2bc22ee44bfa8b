package penstock_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// What the conformance tests of both backings share; see conformance_test.go for those of memory pipes alone.

// pageSize is the kernel's: memory pipes get pages of it here, so that slots hold the same on both backings.
var pageSize = os.Getpagesize()

// opener opens a pipe of so many slots, which is closed with the test.
type opener func(t *testing.T, slots int) penstock.Conduit

// slotted runs a test over both backings, with pipes of so many slots of a page of the kernel's.
func slotted(t *testing.T, test func(t *testing.T, open opener)) {
	t.Run("memory", func(t *testing.T) {
		before := penstock.PagesInUse()
		var arena penstock.Arena
		t.Cleanup(func() { // the last of all
			arena.Close()
			if after := penstock.PagesInUse(); after != before {
				t.Errorf("pages in use: %d before, %d after", before, after)
			}
		})
		test(t, func(t *testing.T, slots int) penstock.Conduit {
			p, err := penstock.OpenPipe(penstock.PipeConfig{Slots: slots, PageSize: pageSize, Arena: &arena})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			return p
		})
	})
	t.Run("kernel", func(t *testing.T) {
		test(t, func(t *testing.T, slots int) penstock.Conduit {
			p, err := penstock.NewKernelPipe(slots * pageSize)
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip("this system has no splice: " + runtime.GOOS)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			if p.Cap() != slots*pageSize {
				t.Skipf("a pipe has %d bytes and not %d: this user's budget is gone", p.Cap(), slots*pageSize)
			}
			return p
		})
	})
}

// put writes what there is room for.
func put(t *testing.T, p penstock.Conduit, b []byte) {
	t.Helper()
	if n, err := p.Write(b); n != len(b) || err != nil {
		t.Errorf("wrote %d of %d, %v", n, len(b), err)
	}
}

// take reads what is held, which is to be want.
func take(t *testing.T, p penstock.Conduit, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if p.Len() != len(want) {
		t.Errorf("%d bytes are held, want %d", p.Len(), len(want))
	} else if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes differ, %v", len(want), err)
	}
}

func closeWrite(t *testing.T, p penstock.Conduit) {
	t.Helper()
	if err := p.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func closeWriteOnce(p penstock.Conduit) { _ = p.(interface{ CloseWrite() error }).CloseWrite() }

// fileWith makes a file of its own for the test, at its beginning.
func fileWith(t *testing.T, data string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err == nil {
		_, err = f.WriteString(data)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// result is what a transfer comes to: a count, or an error and the side that it is of. The end has no side.
type result struct {
	n    int
	err  error
	side penstock.Side
}

func (want result) check(t *testing.T, n int, err error) {
	t.Helper()
	side, told := penstock.SideOf(err)
	ok := n == want.n && errors.Is(err, want.err)
	if want.err != nil && want.err != io.EOF {
		ok = ok && told && side == want.side
	}
	if !ok {
		t.Errorf("%d, %v; want %d, %v of the %v", n, err, want.n, want.err, want.side)
	}
}

// promptly fails the test, rather than hang it, if what must not wait does.
func promptly(t *testing.T, do func() (int, error)) (n int, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() { n, err = do(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it waits, or spins")
	}
	return n, err
}

var (
	moved        = result{n: 3}
	ended        = result{err: io.EOF}
	noData       = result{err: penstock.ErrWouldBlock, side: penstock.SideSource}
	noRoom       = result{err: penstock.ErrWouldBlock, side: penstock.SideSink}
	noReader     = result{err: syscall.EPIPE, side: penstock.SideSink}
	errAbandoned = errors.New("abandoned")
)
