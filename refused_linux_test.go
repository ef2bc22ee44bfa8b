package penstock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock/internal/refuse"
)

// TestWithoutTheVerbsMemoryPipesDoAll runs tests that know nothing of a sandbox in one that refuses every verb.
func TestWithoutTheVerbsMemoryPipesDoAll(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			refuse.Run(t, "^Test("+
				"EverySourceToEverySink|TeeAndSpliceBetweenBackings|PeekConsumesNothingAndDiscardDoes|"+
				"AFailedSinkLeavesTheRestInThePipe|NonBlockTakesWhatFitsAndSaysWhoWouldBlock|InterruptEndsAWait|"+
				"SourceWaitsAreInterrupted|LimitAndPrefix|AResetPeerIsTheSinksFault"+
				")$/^memory$", errno, "splice", "tee", "vmsplice", "sendfile", "copy_file_range")
		})
	}
}

// TestWithoutSpliceOrTeeThereAreNoKernelPipes to be had, as on a system that has none, and the error says why.
func TestWithoutSpliceOrTeeThereAreNoKernelPipes(t *testing.T) {
	needsKernelPipes(t)
	for _, verb := range []string{"splice", "tee"} {
		t.Run(verb, func(t *testing.T) {
			if !refuse.Reexec(t, syscall.EPERM, verb) {
				return
			}
			forgetful(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			for op, pipe := range map[string]func() (*KernelPipe, error){
				"open":  func() (*KernelPipe, error) { return NewKernelPipe(0) },
				"adopt": func() (*KernelPipe, error) { return AdoptKernelPipe(r, w) },
			} {
				p, err := pipe()
				if p != nil || err == nil {
					t.Fatalf("%s: %v", op, err)
				}
				for _, is := range []error{ErrNoKernelPipe, errors.ErrUnsupported, syscall.EPERM} {
					if !errors.Is(err, is) {
						t.Errorf("%v is not %v", err, is)
					}
				}
				want := "penstock: " + op + " pipe: no kernel pipe to be had: " + verb + " is refused (EPERM)"
				if err.Error() != want {
					t.Errorf("%q, want %q", err, want)
				}
			}
		})
	}
	t.Run("vmsplice", func(t *testing.T) {
		if !refuse.Reexec(t, syscall.EPERM, "vmsplice", "sendfile", "copy_file_range") {
			return
		}
		forgetful(t)
		if err := kernelPipesRefused(); err != nil {
			t.Errorf("though nobody needs those: %v", err)
		}
	})
}

// needsKernelPipes skips where there are none to be had before anything is refused by us.
func needsKernelPipes(t *testing.T) {
	t.Helper()
	if err := kernelPipesRefused(); err != nil {
		t.Skip(err)
	}
}

// TestSpliceIsGivenUpBeforeTheFirstByte where a filter came after the probe: there are kernel pipes, and what splice
// refuses is read and written, on either side.
func TestSpliceIsGivenUpBeforeTheFirstByte(t *testing.T) {
	needsKernelPipes(t) // and remembers that there are
	if !refuse.Reexec(t, syscall.EPERM, "splice") {
		return
	}
	want := bytes.Repeat([]byte("penstock"), 40_000) // several pipes full
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.WriteFile(in, want, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"file", "socket"} {
		for _, to := range []string{"file", "socket", "writer"} {
			t.Run(from+" to "+to, func(t *testing.T) {
				var (
					r       io.ReadCloser
					w       io.WriteCloser
					got     bytes.Buffer
					helpers sync.WaitGroup
					err     error
				)
				if r, err = os.Open(in); err != nil {
					t.Fatal(err)
				}
				if from == "socket" {
					near, far := connected(t, filepath.Join(dir, to+"-source"))
					file := r
					helpers.Go(func() { io.Copy(far, file); far.Close(); file.Close() })
					r = near
				}
				defer r.Close()
				switch to {
				case "file":
					if w, err = os.Create(filepath.Join(dir, "out")); err != nil {
						t.Fatal(err)
					}
				case "socket":
					near, far := connected(t, filepath.Join(dir, from+"-sink"))
					helpers.Go(func() { io.Copy(&got, far); far.Close() })
					w = near
				case "writer":
					w = struct {
						io.Writer
						io.Closer
					}{&got, io.NopCloser(nil)}
				}
				p := newKernelPipe(t, 0)
				src, sink := SourceOf(r), SinkOf(w)
				for err == nil {
					var n int
					if n, err = src.SpliceRead(p, p.Cap(), 0); n > 0 {
						if m, serr := sink.SpliceWrite(p, n, 0); m != n || serr != nil {
							t.Fatalf("%d of %d: %v", m, n, serr)
						}
					}
				}
				w.Close()
				helpers.Wait()
				all := got.Bytes()
				if to == "file" {
					all, _ = os.ReadFile(filepath.Join(dir, "out"))
				}
				if err != io.EOF || !bytes.Equal(all, want) {
					t.Errorf("%d bytes of %d, %v", len(all), len(want), err)
				}
				if path, why := src.Path(p); path != PathReadWrite {
					t.Errorf("in by %s: %s", path, why)
				}
				if path, why := sink.Path(p); path != PathReadWrite {
					t.Errorf("out by %s: %s", path, why)
				}
			})
		}
	}
}

// connected returns the two ends of a Unix socket.
func connected(t *testing.T, name string) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("unix", name); err == nil {
		near, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}
