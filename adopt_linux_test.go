package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// bareEnds are descriptors as a shell hands them over: their descriptions block.
func bareEnds(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
}

// bareFIFO is a pipe with a name whose ends block.
func bareFIFO(t *testing.T) (r, w *os.File) {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	rfd, err := syscall.Open(fifo, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0) // alone it would wait
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(rfd, false); err != nil {
		t.Fatal(err)
	}
	wfd, err := syscall.Open(fifo, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(rfd), "r"), os.NewFile(uintptr(wfd), "w")
}

var endKinds = map[string]func(t *testing.T) (r, w *os.File){
	"os.Pipe": func(t *testing.T) (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	},
	"pipe that blocks": bareEnds,
	"FIFO that blocks": bareFIFO,
	"FIFO": func(t *testing.T) (r, w *os.File) {
		r, w = bareFIFO(t)
		for _, f := range []*os.File{r, w} {
			unlocked(t, f, func(fd int) { _ = syscall.SetNonblock(fd, true) })
		}
		return r, w
	},
}

// unlocked uses a file's descriptor as it is: File.Fd may change its flags.
func unlocked(t *testing.T, f *os.File, use func(fd int)) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { use(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flagsOf(t *testing.T, f *os.File) (flags int) {
	t.Helper()
	unlocked(t, f, func(fd int) {
		var err error
		if flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil {
			t.Fatal(err)
		}
	})
	return flags
}

func adopt(t *testing.T, r, w *os.File) *penstock.KernelPipe {
	t.Helper()
	p, err := penstock.AdoptKernelPipe(r, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestAnAdoptedPipeIsLikeAnyOther, whatever its ends were like.
func TestAnAdoptedPipeIsLikeAnyOther(t *testing.T) {
	for kind, open := range endKinds {
		t.Run(kind, func(t *testing.T) {
			for _, tt := range verbTable {
				t.Run(tt.name, func(t *testing.T) {
					r, w := open(t)
					p := adopt(t, r, w)
					r.Close()
					w.Close()
					if err := p.Resize(2); err != nil || p.Slots() != 2 {
						t.Skipf("%d slots, %v", p.Slots(), err)
					}
					tt.do(t, p)
				})
			}
		})
	}
}

// TestAdoptionChangesNothingForOthers: their flags are what they were, and their files open.
func TestAdoptionChangesNothingForOthers(t *testing.T) {
	for kind, open := range endKinds {
		t.Run(kind, func(t *testing.T) {
			r, w := open(t)
			defer r.Close()
			defer w.Close()
			rflags, wflags := flagsOf(t, r), flagsOf(t, w)
			p := adopt(t, r, w)
			p.SetDeadline(time.Now().Add(time.Millisecond))
			if _, err := p.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			p.Close()
			if got := flagsOf(t, r); got != rflags {
				t.Errorf("flags of the read end: %#o, and before %#o", got, rflags)
			}
			if got := flagsOf(t, w); got != wflags {
				t.Errorf("flags of the write end: %#o, and before %#o", got, wflags)
			}
			if _, err := w.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAdoptedPipesAreSpliced and teed like others, in both directions.
func TestAdoptedPipesAreSpliced(t *testing.T) {
	background := context.Background()
	for kind, open := range endKinds {
		t.Run(kind, func(t *testing.T) {
			slotted(t, func(t *testing.T, conduit opener) {
				r, w := open(t)
				p := adopt(t, r, w)
				r.Close()
				w.Close()
				q, tee := conduit(t, 2), conduit(t, 2)
				want := pages(32)
				var wg sync.WaitGroup
				wg.Go(func() {
					defer closeWriteOnce(p)
					for rest := bytes.NewReader(want); rest.Len() > 0; {
						if _, err := penstock.Splice(background, p, rest, rest.Len(), 0); err != nil {
							t.Error(err)
							return
						}
					}
				})
				var got []byte
				for {
					n, err := promptly(t, func() (int, error) { return penstock.Splice(background, q, p, 1<<20, 0) })
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if m, err := penstock.Tee(background, tee, q, n, 0); m != n || err != nil {
						t.Fatalf("%d of %d, %v", m, n, err)
					}
					b := make([]byte, n)
					if _, err := io.ReadFull(q, b); err != nil {
						t.Fatal(err)
					}
					take(t, tee, b)
					got = append(got, b...)
				}
				wg.Wait()
				if !bytes.Equal(got, want) {
					t.Errorf("%d bytes of %d, or others", len(got), len(want))
				}
			})
		})
	}
}

// TestAnEndThatIsNotThereIsEBADF to every verb of it.
func TestAnEndThatIsNotThereIsEBADF(t *testing.T) {
	background := context.Background()
	r, w := bareEnds(t)
	defer r.Close()
	defer w.Close()
	b := make([]byte, 1)
	mem := penstock.NewPipe(1)
	defer mem.Close()
	for name, calls := range map[string]struct {
		r, w *os.File
		do   []func(p *penstock.KernelPipe) error
	}{
		"read": {nil, w, []func(p *penstock.KernelPipe) error{
			func(p *penstock.KernelPipe) error { _, err := p.Read(b); return err },
			func(p *penstock.KernelPipe) error { _, err := p.TryRead(b); return err },
			func(p *penstock.KernelPipe) error { _, err := p.ReadContext(background, b); return err },
			func(p *penstock.KernelPipe) error { _, err := p.Peek(1); return err },
			func(p *penstock.KernelPipe) error { _, err := p.PeekInto(b); return err },
			func(p *penstock.KernelPipe) error { _, err := p.Discard(1); return err },
			func(p *penstock.KernelPipe) error { _, err := p.ReadEnd(); return err },
			func(p *penstock.KernelPipe) error { return p.SetReadDeadline(time.Time{}) },
			func(p *penstock.KernelPipe) error { return p.CloseRead() },
			func(p *penstock.KernelPipe) error { _, err := penstock.Splice(background, mem, p, 1, 0); return err },
			func(p *penstock.KernelPipe) error { _, err := penstock.Tee(background, mem, p, 1, 0); return err },
			func(p *penstock.KernelPipe) error {
				_, err := penstock.Splice(background, io.Discard, p, 1, 0)
				return err
			},
		}},
		"write": {r, nil, []func(p *penstock.KernelPipe) error{
			func(p *penstock.KernelPipe) error { _, err := p.Write(b); return err },
			func(p *penstock.KernelPipe) error { _, err := p.TryWrite(b); return err },
			func(p *penstock.KernelPipe) error { _, err := p.WriteContext(background, b); return err },
			func(p *penstock.KernelPipe) error { _, err := p.WriteEnd(); return err },
			func(p *penstock.KernelPipe) error { return p.SetWriteDeadline(time.Time{}) },
			func(p *penstock.KernelPipe) error { return p.CloseWrite() },
			func(p *penstock.KernelPipe) error {
				_, err := penstock.Splice(background, p, strings.NewReader("x"), 1, 0)
				return err
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := adopt(t, calls.r, calls.w)
			for i, call := range calls.do {
				var op *penstock.OpError
				if err := call(p); !errors.Is(err, syscall.EBADF) || !errors.As(err, &op) {
					t.Errorf("call %d: %v", i, err)
				}
			}
			if err := p.SetDeadline(time.Time{}); err != nil { // of the end that there is
				t.Error(err)
			}
			isReady(t, "Readable", p.Readable(), calls.r == nil)
			isReady(t, "Writable", p.Writable(), true)
			for range 2 {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestWhatIsNoPipeIsNotAdopted, and no descriptor is left behind.
func TestWhatIsNoPipeIsNotAdopted(t *testing.T) {
	open := func(name string, flags int) *os.File {
		f, err := os.OpenFile(name, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	r, w := bareEnds(t)
	q, v := bareEnds(t)
	for _, f := range []*os.File{r, w, q, v} {
		defer f.Close()
	}
	regular, null, dir := fileWith(t, "x"), open("/dev/null", os.O_RDWR), open(t.TempDir(), os.O_RDONLY)
	closed := open("/dev/null", os.O_RDWR)
	closed.Close()
	before := descriptors(t)
	for _, tt := range []struct {
		name string
		r, w *os.File
		err  error
		text string
	}{
		{"a file", regular, nil, syscall.EINVAL, "is no pipe"},
		{"a file to write to", nil, regular, syscall.EINVAL, "is no pipe"},
		{"a device", r, null, syscall.EINVAL, "is no pipe"},
		{"a folder", dir, w, syscall.EINVAL, "is no pipe"},
		{"two pipes", r, v, syscall.EINVAL, "different pipes"},
		{"the ends exchanged", w, r, syscall.EBADF, ""},
		{"a write end to read from", w, nil, syscall.EBADF, ""},
		{"a read end to write to", r, q, syscall.EBADF, ""},
		{"nothing", nil, nil, syscall.EINVAL, ""},
		{"a file that is closed", closed, nil, os.ErrClosed, ""},
	} {
		p, err := penstock.AdoptKernelPipe(tt.r, tt.w)
		var op *penstock.OpError
		if p != nil || !errors.Is(err, tt.err) || !errors.As(err, &op) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
	}
	if after := descriptors(t); after > before { // fewer, where a pool has tidied up meanwhile
		t.Errorf("%d descriptors, and %d before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(names)
}

// TestThePipesOfACommandAreAdopted: exec.Cmd's own, both ways.
func TestThePipesOfACommandAreAdopted(t *testing.T) {
	cmd := command(t, "cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, out := adopt(t, nil, stdin.(*os.File)), adopt(t, stdout.(*os.File), nil)
	stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := pages(100)
	var wg sync.WaitGroup
	wg.Go(func() {
		put(t, in, want)
		closeWriteOnce(in)
	})
	got, err := io.ReadAll(out)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, or others; %v", len(got), len(want), err)
	}
	wg.Wait()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// command is a command that does not outlive its test.
func command(t *testing.T, name string, arg ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, name, arg...)
}

func fileOf(t *testing.T, end func() (*os.File, error)) *os.File {
	t.Helper()
	f, err := end()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// kernelPipe skips the test where a sandbox refuses what kernel pipes are for.
func kernelPipe(t *testing.T) *penstock.KernelPipe {
	t.Helper()
	p, err := penstock.NewKernelPipe(0)
	if errors.Is(err, penstock.ErrNoKernelPipe) && errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestAChildReadsAndWritesPipes, with ends that block, while ours do not.
func TestAChildReadsAndWritesPipes(t *testing.T) {
	in, out := kernelPipe(t), kernelPipe(t)
	stdin, stdout := fileOf(t, in.ReadEnd), fileOf(t, out.WriteEnd)
	for _, f := range []*os.File{stdin, stdout} {
		if flagsOf(t, f)&unix.O_NONBLOCK != 0 {
			t.Error("the child's end does not block")
		}
	}
	cmd := command(t, "sh", "-c", "cat; cat <&3")
	third := kernelPipe(t)
	cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = stdin, stdout, []*os.File{fileOf(t, third.ReadEnd)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{stdin, stdout, cmd.ExtraFiles[0]} {
		f.Close()
	}
	closeWrite(t, out) // else there is no end to it
	want := pages(100)
	var wg sync.WaitGroup
	wg.Go(func() {
		put(t, in, want)
		closeWriteOnce(in)
		put(t, third, []byte("and the third"))
		closeWriteOnce(third)
	})
	got, err := io.ReadAll(out)
	if err != nil || !bytes.Equal(got, append(want, "and the third"...)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	wg.Wait()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n, err := promptly(t, func() (int, error) { return in.TryRead(make([]byte, 1)) }); err != io.EOF {
		t.Errorf("%d, %v", n, err) // and not that it waits, as the child's end does
	}
}

// TestAChildThatLeavesBreaksThePipe, when nobody else has the read end.
func TestAChildThatLeavesBreaksThePipe(t *testing.T) {
	p := kernelPipe(t)
	cmd := command(t, "head", "-c", "10")
	stdin := fileOf(t, p.ReadEnd)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = stdin, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := p.CloseRead(); err != nil {
		t.Fatal(err)
	}
	_, err := promptly(t, func() (int, error) { return p.Write(pages(1000)) })
	if side, _ := penstock.SideOf(err); !errors.Is(err, syscall.EPIPE) || side != penstock.SidePipe {
		t.Errorf("%v", err)
	}
	if err := cmd.Wait(); err != nil || !bytes.Equal(out.Bytes(), pages(1)[:10]) {
		t.Errorf("%q, %v", out.Bytes(), err)
	}
}

func TestAChildCountsWhatItGets(t *testing.T) {
	p := kernelPipe(t)
	put(t, p, []byte("twelve bytes"))
	stdin := fileOf(t, p.ReadEnd)
	closeWrite(t, p)
	cmd := command(t, "wc", "-c")
	cmd.Stdin = stdin
	out, err := cmd.Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "12" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAPipeThatAChildHasIsNotLentAgain: it would be two users'.
func TestAPipeThatAChildHasIsNotLentAgain(t *testing.T) {
	pool := penstock.NewPool(0)
	defer pool.Close()
	p, err := pool.Get(pageSize)
	if err != nil {
		t.Skip(err)
	}
	f := fileOf(t, p.ReadEnd)
	defer f.Close()
	pool.Put(p)
	if s := pool.Stats(); s.Held != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTheEndsOfAClosedPipeAreNotPassedOn(t *testing.T) {
	p := kernelPipe(t)
	p.Close()
	for _, end := range []func() (*os.File, error){p.ReadEnd, p.WriteEnd} {
		if _, err := end(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}
