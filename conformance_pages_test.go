package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What the kernel's suites check about memory that is in a pipe and elsewhere too: who sees a write, who may write, and
// when it is given back.

// fileOf makes a file of a page that begins with head.
func fileOf(t *testing.T, head string) *os.File {
	t.Helper()
	page := make([]byte, kernelPage)
	copy(page, head)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, page, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// pushWindow puts the file's first n bytes into p, as its page.
func (r *rig) pushWindow(p *Pipe, f *os.File, n int) {
	r.t.Helper()
	pg, err := MapWindow(f, 0, kernelPage, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := NewBuffer(pg, 0, n, 0)
	if err == nil {
		err = p.Push(context.Background(), b, NonBlock)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) pull(p *Pipe) Buffer {
	r.t.Helper()
	b, err := p.Pull(context.Background(), 1<<20, NonBlock)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *rig) stabilise(p *Pipe) {
	r.t.Helper()
	b, err := r.pull(p).Stabilise(context.Background())
	if err == nil {
		err = p.Unread(b)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestConformanceWhoSeesAWrite puts memory that says "OLD" into p, has it written over, and reads.
func TestConformanceWhoSeesAWrite(t *testing.T) {
	lent := func(r *rig) (over func()) {
		b := []byte("OLD")
		r.lend(r.p, b, 0)
		return func() { copy(b, "NEW") }
	}
	file := func(r *rig) (over func()) {
		f := fileOf(r.t, "OLD")
		r.pushWindow(r.p, f, 3)
		return func() { f.WriteAt([]byte("NEW"), 0) }
	}
	spliced := func(r *rig) (over func()) {
		f := fileOf(r.t, "OLD")
		if n, err := Splice(context.Background(), r.p, f, 3, NonBlock); n != 3 || err != nil {
			r.t.Fatal(n, err)
		}
		return func() { f.WriteAt([]byte("NEW"), 0) }
	}
	for _, tt := range []struct {
		name   string
		put    func(r *rig) (over func())
		before func(r *rig) // the write
		p, q   string
	}{
		{"measured: vmsplice, changed before it is read", lent, nil, "NEW", ""},
		{"measured: vmsplice, changed after tee: every copy", lent, func(r *rig) { r.tee(3, 3) }, "NEW", "NEW"},
		{"measured: vmsplice, changed after splice", lent, func(r *rig) { r.splice(3, 3) }, "", "NEW"},
		{"selftests mm/cow: the OLD bytes, for who stabilises", lent, func(r *rig) { r.stabilise(r.p) }, "OLD", ""},
		{"selftests mm/cow: stabilised after tee: that one only", lent, func(r *rig) { r.tee(3, 3); r.stabilise(r.q) }, "NEW", "OLD"},
		{"selftests mm/cow: stabilised before tee: both", lent, func(r *rig) { r.stabilise(r.p); r.tee(3, 3) }, "OLD", "OLD"},
		{"measured: a file's page shows a pwrite, in every copy", file, func(r *rig) { r.tee(3, 3) }, "NEW", "NEW"},
		{"selftests mm/cow: a file's page, stabilised", file, func(r *rig) { r.tee(3, 3); r.stabilise(r.p) }, "OLD", "NEW"},
		{"measured: O_DIRECT is a stable copy, as splice of a file is here", spliced, func(r *rig) { r.tee(3, 3) }, "OLD", "OLD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leakless(t)
			r := newRig(t, PipeConfig{}, PipeConfig{})
			over := tt.put(r)
			if tt.before != nil {
				tt.before(r)
			}
			over()
			for p, want := range map[*Pipe]string{r.p: tt.p, r.q: tt.q} {
				if want == "" {
					r.empty(p)
				} else {
					r.read(p, 10, []byte(want))
				}
			}
		})
	}
}

// TestConformanceDirtyPipe makes slots that once could be merged into hold a byte of a file, and writes.
func TestConformanceDirtyPipe(t *testing.T) {
	for _, tt := range []struct {
		name string
		put  func(r *rig, f *os.File)
	}{
		{"a window pushed", func(r *rig, f *os.File) { r.pushWindow(r.p, f, 1) }},
		{"a window spliced over", func(r *rig, f *os.File) {
			r.pushWindow(r.q, f, 2)
			r.p, r.q = r.q, r.p
			r.splice(1, 1)
			r.p, r.q = r.q, r.p
		}},
		{"a window teed over", func(r *rig, f *os.File) {
			r.pushWindow(r.q, f, 1)
			r.p, r.q = r.q, r.p
			r.tee(1, 1)
			r.p, r.q = r.q, r.p
		}},
		{"the file spliced", func(r *rig, f *os.File) {
			if n, err := Splice(context.Background(), r.p, f, 1, NonBlock); n != 1 || err != nil {
				r.t.Fatal(n, err)
			}
		}},
	} {
		t.Run("ltp security/dirtypipe CVE-2022-0847: "+tt.name, func(t *testing.T) {
			leakless(t)
			r := newRig(t, PipeConfig{}, PipeConfig{})
			f := fileOf(t, "root:x:0")
			r.write(r.p, bytesOf(65536)) // every slot has had the merge flag
			r.read(r.p, 65536, bytesOf(65536))
			tt.put(r, f)
			r.put(r.p, "DIRTY")
			r.slots(r.p, 2)
			got, err := io.ReadAll(io.NewSectionReader(f, 0, 8))
			if string(got) != "root:x:0" || err != nil {
				t.Errorf("the file says %q, %v", got, err)
			}
			r.read(r.p, 1, []byte("r"))
			if rest := r.peek(r.p, 10); !bytes.HasSuffix(rest, []byte("DIRTY")) {
				t.Errorf("the pipe says %q", rest)
			}
		})
	}
}

// TestConformanceInPlace asks for memory to be written to in place, as a cipher would.
func TestConformanceInPlace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		put   func(r *rig)
		steal bool
	}{
		{"af_alg08, xfrm01: not a file's page", func(r *rig) { r.pushWindow(r.p, fileOf(r.t, "OLD"), 3) }, false},
		{"xfrm02: not what was lent", func(r *rig) { r.lend(r.p, []byte("OLD"), 0) }, false},
		{"xfrm03: not what another pipe holds, too", func(r *rig) { r.put(r.p, "OLD"); r.tee(3, 3) }, false},
		{"nor a piece of what another pipe holds", func(r *rig) {
			r.put(r.q, "OLDER")
			r.p, r.q = r.q, r.p
			r.splice(3, 3)
			r.p, r.q = r.q, r.p
		}, false},
		{"try_to_steal: a page that is ours alone", func(r *rig) { r.put(r.p, "OLD") }, true},
		{"try_to_steal: a gift", func(r *rig) { r.lend(r.p, []byte("OLD"), Gift) }, true},
		{"try_to_steal: not a gift that was teed", func(r *rig) { r.lend(r.p, []byte("OLD"), Gift); r.tee(3, 3) }, false},
		{"try_to_steal: once the copy has been read", func(r *rig) { r.put(r.p, "OLD"); r.tee(3, 3); r.read(r.q, 3, []byte("OLD")) }, true},
	} {
		t.Run("ltp "+tt.name, func(t *testing.T) {
			leakless(t)
			r := newRig(t, PipeConfig{}, PipeConfig{})
			tt.put(r)
			b := r.pull(r.p)
			defer b.Release()
			if data, ok := b.Steal(); ok != tt.steal || ok && string(data) != "OLD" {
				t.Errorf("%q, %v", data, ok)
			} else if ok {
				b.Unmap()
			}
		})
	}
}

// TestConformanceFanOut gives one run of lent memory to many, who let go of it in some order.
func TestConformanceFanOut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(p *Pipe)
	}{
		{"read", func(p *Pipe) { p.Read(make([]byte, 100)) }},
		{"read in pieces", func(p *Pipe) {
			for range 8 {
				p.Read(make([]byte, 1))
			}
		}},
		{"discarded", func(p *Pipe) { p.Discard(100) }},
		{"closed, ltp setsockopt11 CVE-2026-53362", func(p *Pipe) { p.Close() }},
		{"the read end closed", func(p *Pipe) { p.CloseRead() }},
		{"written out", func(p *Pipe) { Splice(context.Background(), io.Discard, p, 100, 0) }},
		{"teed and gone", func(p *Pipe) {
			q := NewPipe(1)
			Tee(context.Background(), q, p, 100, NonBlock)
			p.Close()
			q.Close()
		}},
	} {
		t.Run("measured: released when the last is gone: "+tt.name, func(t *testing.T) {
			leakless(t)
			r := newRig(t, PipeConfig{}, PipeConfig{})
			released := 0
			if _, err := Vmsplice(context.Background(), r.p, []byte("lent out"), func() { released++ }, NonBlock); err != nil {
				t.Fatal(err)
			}
			pipes := []*Pipe{r.p}
			for range 7 {
				r.q = openKernelLike(t, PipeConfig{})
				r.tee(100, 8)
				pipes = append(pipes, r.q)
			}
			for i, p := range pipes {
				if released != 0 {
					t.Fatalf("released while %d pipes hold it", len(pipes)-i)
				}
				if got := r.peek(p, 100); string(got) != "lent out" {
					t.Errorf("pipe %d: %q", i, got)
				}
				tt.leave(p)
			}
			if released != 1 {
				t.Errorf("released %d times", released)
			}
		})
	}
}

// TestConformanceLongVmsplice is ltp vmsplice01: what does not fit is not waited for.
func TestConformanceLongVmsplice(t *testing.T) {
	t.Run("ltp vmsplice/vmsplice01: 128 KB, and to a file", func(t *testing.T) {
		leakless(t)
		r := newRig(t, PipeConfig{Slots: 1}, PipeConfig{})
		f, data, released := fileOf(t, ""), bytesOf(128<<10), 0
		for off := 0; off < len(data); off += 64 << 10 {
			<-r.p.Writable()
			if n, err := Vmsplice(context.Background(), r.p, data[off:off+64<<10], func() { released++ }, 0); n != 64<<10 || err != nil {
				t.Fatal(n, err)
			}
			for r.p.Len() > 0 {
				if _, err := Splice(context.Background(), f, r.p, 10_000, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
		if !bytes.Equal(got, data) || err != nil || released != 2 {
			t.Errorf("%d bytes, %v; released %d times", len(got), err, released)
		}
	})
	t.Run("ltp vmsplice/vmsplice03: out of the pipe into memory", func(t *testing.T) {
		leakless(t)
		r := newRig(t, PipeConfig{}, PipeConfig{})
		r.write(r.p, bytesOf(64<<10))
		r.read(r.p, 64<<10, bytesOf(64<<10))
	})
	t.Run("measured: an empty vector is nothing, at a full pipe and without a reader", func(t *testing.T) {
		leakless(t)
		r := newRig(t, PipeConfig{Slots: 1}, PipeConfig{})
		r.write(r.p, bytesOf(4096))
		r.q.CloseRead()
		for _, p := range []*Pipe{r.p, r.q} {
			if n, err := Vmsplice(context.Background(), p, nil, nil, 0); n != 0 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
	})
	t.Run("measured: without a reader EPIPE, and the memory is still the caller's", func(t *testing.T) {
		leakless(t)
		r := newRig(t, PipeConfig{}, PipeConfig{})
		r.p.CloseRead()
		n, err := Vmsplice(context.Background(), r.p, []byte("x"), func() { t.Error("released") }, 0)
		if side, _ := SideOf(err); n != 0 || !errors.Is(err, syscall.EPIPE) || side != SidePipe {
			t.Errorf("%d, %v", n, err)
		}
	})
}
