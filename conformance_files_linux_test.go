package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// toPipe and fromPipe are one splice of a pipe and something else, which is to move so many.
func toPipe(t *testing.T, p penstock.Conduit, r io.Reader, n, want int) {
	t.Helper()
	m, err := promptly(t, func() (int, error) { return penstock.Splice(context.Background(), p, r, n, 0) })
	result{n: want}.check(t, m, err)
}

func fromPipe(t *testing.T, w io.Writer, p penstock.Conduit, n, want int) {
	t.Helper()
	m, err := promptly(t, func() (int, error) { return penstock.Splice(context.Background(), w, p, n, 0) })
	result{n: want}.check(t, m, err)
}

// says looks at a file's bytes and at its position.
func says(t *testing.T, f *os.File, want []byte, pos int64) {
	t.Helper()
	if at, err := f.Seek(0, io.SeekCurrent); at != pos || err != nil {
		t.Errorf("the file is at %d, %v; want %d", at, err, pos)
	}
	got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if !bytes.Equal(got, want) || err != nil {
		t.Errorf("the file has %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestConformanceFiles(t *testing.T) {
	ctx := context.Background()
	text := string(pattern(3 * pageSize))
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, open opener)
	}{
		{"ltp splice/splice01, sendfile06; gvisor ToPipe, FromPipe: 1 KB, and the positions move", func(t *testing.T, open opener) {
			p, from, to := open(t, 1), fileWith(t, text[:1024]), fileWith(t, "")
			toPipe(t, p, from, 1024, 1024)
			fromPipe(t, to, p, 1024, 1024)
			says(t, from, []byte(text[:1024]), 1024)
			says(t, to, []byte(text[:1024]), 1024)
		}},
		{"ltp splice/splice02: loop until 0", func(t *testing.T, open opener) {
			p, f, want := open(t, 2), fileWith(t, ""), pattern(1<<20+1)
			go func() { p.Write(want); closeWriteOnce(p) }()
			for {
				_, err := penstock.Splice(ctx, f, p, 64<<10, 0)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			says(t, f, want, int64(len(want)))
		}},
		{"gvisor ToPipeEOF; measured: at and behind the end", func(t *testing.T, open opener) {
			p, f := open(t, 1), fileWith(t, "abc")
			for _, at := range []int64{3, 100} {
				f.Seek(at, io.SeekStart)
				n, err := penstock.Splice(ctx, p, f, 10, 0)
				ended.check(t, n, err)
			}
		}},
		{"gvisor ToPipeOffset; ltp sendfile02: an offset leaves the position", func(t *testing.T, open opener) {
			for _, off := range []int64{0, 2, int64(pageSize) - 1} {
				p, f := open(t, 4), fileWith(t, text)
				src, err := penstock.ReadAhead(f, off, 2*int64(pageSize))
				if err != nil {
					t.Fatal(err)
				}
				for got := 0; got < 2*pageSize; {
					n, err := src.SpliceRead(p, 2*pageSize, 0)
					if err != nil {
						t.Fatal(err)
					}
					got += n
				}
				if n, err := src.SpliceRead(p, 1, 0); n != 0 || err != io.EOF {
					t.Errorf("behind it: %d, %v", n, err)
				}
				take(t, p, []byte(text[off:][:2*pageSize]))
				says(t, f, []byte(text), 0)
			}
		}},
		{"ltp sendfile08: out begins where it is, not where in is", func(t *testing.T, open opener) {
			p, from, to := open(t, 1), fileWith(t, "abc"), fileWith(t, "01234")
			to.Seek(5, io.SeekStart)
			toPipe(t, p, from, 100, 3)
			fromPipe(t, to, p, 100, 3)
			says(t, to, []byte("01234abc"), 8)
		}},
		{"ltp sendfile09: 1 GB, at 0 and at 3 GB", func(t *testing.T, open opener) {
			f := fileWith(t, "")
			if err := f.Truncate(4 << 30); err != nil {
				t.Skip(err)
			}
			f.WriteAt([]byte("three"), 3<<30)
			for _, off := range []int64{0, 3 << 30} {
				p := open(t, 2)
				f.Seek(off, io.SeekStart)
				toPipe(t, p, f, 1<<30, p.Cap())
				want := make([]byte, p.Cap())
				f.ReadAt(want, off)
				take(t, p, want)
				if at, _ := f.Seek(0, io.SeekCurrent); at != off+int64(p.Cap()) {
					t.Errorf("the file is at %d", at)
				}
			}
		}},
		{"measured: splice of a file of 1 MB is what the pipe holds", func(t *testing.T, open opener) {
			p, f, want := open(t, 16), fileWith(t, string(pattern(1<<20))), pattern(1<<20)
			toPipe(t, p, f, 1<<20, p.Cap())
			take(t, p, want[:p.Cap()])
			says(t, f, want, int64(p.Cap()))
		}},
		{"gvisor FromPipeMultiple: three thirds of a page", func(t *testing.T, open opener) {
			p, f, third := open(t, 1), fileWith(t, ""), pageSize/3
			put(t, p, []byte(text[:pageSize]))
			for range 3 {
				fromPipe(t, f, p, third, third)
			}
			says(t, f, []byte(text[:3*third]), int64(3*third))
		}},
		{"gvisor FromPipeOffset: the hole is zero, the position stays", func(t *testing.T, open opener) {
			p, f := open(t, 1), fileWith(t, "")
			put(t, p, []byte("abc"))
			fromPipe(t, io.NewOffsetWriter(f, 10), p, 100, 3)
			says(t, f, []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abc"), 0)
		}},
		{"gvisor WriteOverflow: an error, and all is still there", func(t *testing.T, open opener) {
			p, f := open(t, 1), fileWith(t, "")
			put(t, p, []byte(text[:100]))
			n, err := penstock.Splice(ctx, io.NewOffsetWriter(f, math.MaxInt64-10), p, 100, 0)
			if side, _ := penstock.SideOf(err); n != 0 || err == nil || side != penstock.SideSink {
				t.Errorf("%d, %v", n, err)
			}
			take(t, p, []byte(text[:100]))
		}},
		{"gvisor FromPipeMaxFileSize; measured EFBIG: at the end of the largest file, all is still there", func(t *testing.T, open opener) {
			p, f := open(t, 1), fileWith(t, "")
			put(t, p, []byte("abc"))
			limit := sort.Search(63, func(i int) bool { _, err := f.Seek(1<<i, io.SeekStart); return err != nil })
			largest := int64(1) << (limit - 1)
			for step := largest >> 1; step > 0; step >>= 1 {
				if _, err := f.Seek(largest+step, io.SeekStart); err == nil && largest+step > 0 {
					largest += step
				}
			}
			f.Seek(largest, io.SeekStart)
			n, err := penstock.Splice(ctx, f, p, 3, 0)
			if side, _ := penstock.SideOf(err); n != 0 || side != penstock.SideSink || !errors.Is(err, syscall.EFBIG) && !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%d, %v", n, err) // EINVAL where the largest offset is the largest number
			}
			take(t, p, []byte("abc"))
		}},
		{"ltp tee/tee01: file to p, tee to q, q to file", func(t *testing.T, open opener) {
			p, q, to := open(t, 4), open(t, 4), fileWith(t, "")
			toPipe(t, p, fileWith(t, text), len(text), len(text))
			n, err := penstock.Tee(ctx, q, p, len(text), penstock.NonBlock)
			result{n: len(text)}.check(t, n, err)
			fromPipe(t, to, q, len(text), len(text))
			says(t, to, []byte(text), int64(len(text)))
			take(t, p, []byte(text))
		}},
		{"ltp security/dirtypipe: a write behind a byte of a file does not reach the file", func(t *testing.T, open opener) {
			p, f := open(t, 16), fileWith(t, text)
			put(t, p, pattern(p.Cap())) // every slot has had the merge flag
			p.Discard(p.Cap())
			toPipe(t, p, f, 1, 1)
			put(t, p, []byte("DIRTY"))
			says(t, f, []byte(text), 1)
			take(t, p, []byte(text[:1]+"DIRTY"))
		}},
		{"ltp splice03: O_APPEND, which splice refuses, is written", func(t *testing.T, open opener) {
			p, f := open(t, 1), fileWith(t, "01")
			a, err := os.OpenFile(f.Name(), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			n, err := penstock.Splice(ctx, a, p, 1, penstock.NonBlock)
			noData.check(t, n, err)
			put(t, p, []byte("abc"))
			fromPipe(t, a, p, 1, 1)
			fromPipe(t, a, p, 100, 2)
			says(t, f, []byte("01abc"), 0)
		}},
		{"seed of 20 April 2006: header and file in one go", func(t *testing.T, open opener) {
			for _, body := range []io.Reader{fileWith(t, text[:pageSize]), strings.NewReader(text[:pageSize])} {
				p, to := open(t, 2), fileWith(t, "")
				put(t, p, []byte("header"))
				toPipe(t, p, body, pageSize, pageSize)
				fromPipe(t, to, p, 1<<20, 6+pageSize)
				says(t, to, []byte("header"+text[:pageSize]), int64(6+pageSize))
			}
		}},
		{"no call blocks once it has moved a byte: a body longer than the room behind the header", func(t *testing.T, open opener) {
			for _, body := range []io.Reader{fileWith(t, text), strings.NewReader(text)} {
				p := open(t, 2)
				put(t, p, []byte("header"))
				toPipe(t, p, body, len(text), pageSize)
				take(t, p, []byte("header"+text[:pageSize]))
				if rest, err := io.ReadAll(body); string(rest) != text[pageSize:] || err != nil {
					t.Errorf("%d bytes are left in the source, %v", len(rest), err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { slotted(t, tt.do) })
	}
}

func openFile(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flags, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestConformanceDevices(t *testing.T) {
	ctx := context.Background()
	slotted(t, func(t *testing.T, open opener) {
		for _, name := range []string{"/dev/zero", "/dev/full"} {
			t.Run("ltp splice/splice08: "+name+" to pipe", func(t *testing.T) {
				f := openFile(t, name, os.O_RDONLY)
				for n := 1; n < min(64<<10, 16*pageSize); n += 1009 {
					p := open(t, 16)
					toPipe(t, p, f, n, n)
					take(t, p, make([]byte, n))
					p.Close()
				}
			})
		}
		for _, name := range []string{"/dev/zero", "/dev/urandom"} {
			t.Run("measured: 1 MB of "+name, func(t *testing.T) {
				p := open(t, 16)
				toPipe(t, p, openFile(t, name, os.O_RDONLY), 1<<20, p.Cap())
			})
		}
		for _, name := range []string{"/dev/null", "/dev/zero"} {
			t.Run("ltp splice/splice09: pipe to "+name, func(t *testing.T) {
				p := open(t, 1)
				put(t, p, pattern(1024))
				fromPipe(t, openFile(t, name, os.O_WRONLY), p, 1024, 1024)
				take(t, p, nil)
			})
		}
		t.Run("selftests splice/default_file_splice_read: 1 GB of /dev/null is nothing", func(t *testing.T) {
			p := open(t, 1)
			n, err := penstock.Splice(ctx, p, openFile(t, "/dev/null", os.O_RDONLY), 1<<30, 0)
			ended.check(t, n, err)
			take(t, p, nil)
		})
		t.Run("gvisor FromPipeWithWriterToDevNull: a byte, then EAGAIN", func(t *testing.T) {
			p, null := open(t, 1), openFile(t, "/dev/null", os.O_WRONLY)
			put(t, p, []byte("x"))
			fromPipe(t, null, p, 100, 1)
			n, err := penstock.Splice(ctx, null, p, 100, penstock.NonBlock)
			noData.check(t, n, err)
		})
		t.Run("measured: /dev/full takes nothing, and the pipe keeps it", func(t *testing.T) {
			p, full := open(t, 2), openFile(t, "/dev/full", os.O_WRONLY)
			put(t, p, pattern(pageSize+1))
			for range 2 { // also once it is known to refuse splice
				n, err := penstock.Splice(ctx, full, p, pageSize+1, 0)
				result{0, syscall.ENOSPC, penstock.SideSink}.check(t, n, err)
			}
			fromPipe(t, fileWith(t, ""), p, 1, 1)
			take(t, p, pattern(pageSize + 1)[1:])
		})
		t.Run("measured: memfd, whole and sparse", func(t *testing.T) {
			fd, err := unix.MemfdCreate("conformance", unix.MFD_CLOEXEC)
			if err != nil {
				t.Skip(err)
			}
			f, p := os.NewFile(uintptr(fd), "memfd"), open(t, 16)
			defer f.Close()
			f.WriteAt([]byte("abc"), 0)
			toPipe(t, p, f, 100, 3)
			take(t, p, []byte("abc"))
			f.Truncate(1 << 20)
			f.Seek(0, io.SeekStart)
			toPipe(t, p, f, p.Cap(), p.Cap())
			take(t, p, append([]byte("abc"), make([]byte, p.Cap()-3)...))
		})
		t.Run("measured: eventfd, which splice refuses, is read and written", func(t *testing.T) {
			fd, err := unix.Eventfd(3, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			if err != nil {
				t.Skip(err)
			}
			f, p := os.NewFile(uintptr(fd), "eventfd"), open(t, 1)
			defer f.Close()
			toPipe(t, p, f, 100, 8)
			fromPipe(t, f, p, 8, 8)
			var b [8]byte
			if n, err := f.Read(b[:]); n != 8 || b[0]+b[7] != 3 || err != nil {
				t.Errorf("%v, %v", b[:n], err)
			}
		})
	})
}

// TestConformanceProc reads files of the kernel's that are made as they are read.
func TestConformanceProc(t *testing.T) {
	slotted(t, func(t *testing.T, open opener) {
		for _, name := range []string{
			"/proc/sys/fs/pipe-max-size", "/proc/sys/kernel/ostype", // ltp splice06, and what splice takes
			"/sys/devices/system/cpu/possible", "/sys/kernel/mm/transparent_hugepage/enabled",
			"/proc/self/comm", "/proc/self/limits", // what splice refuses
		} {
			for _, n := range []int{4096, 2} {
				t.Run(fmt.Sprintf("selftests splice/short_splice_read, ltp splice06: %d bytes of %s", n, name), func(t *testing.T) {
					want := make([]byte, n)
					m, err := openFile(t, name, os.O_RDONLY).Read(want)
					if err != nil {
						t.Skip(err)
					}
					p := open(t, 1)
					toPipe(t, p, openFile(t, name, os.O_RDONLY), n, m)
					take(t, p, want[:m])
				})
			}
		}
		t.Run("ltp splice06: a number written to /proc/sys", func(t *testing.T) {
			const name = "/proc/sys/fs/pipe-max-size"
			f := openFile(t, name, os.O_RDWR)
			before, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			f.Seek(0, io.SeekStart)
			p := open(t, 1)
			put(t, p, before) // what it is already
			fromPipe(t, f, p, len(before), len(before))
			if after, err := os.ReadFile(name); !bytes.Equal(after, before) || err != nil {
				t.Errorf("%q, was %q, %v", after, before, err)
			}
		})
		t.Run("ltp splice06: a string written to /proc", func(t *testing.T) {
			runtime.LockOSThread() // and not unlocked: the thread with this name ends with the test
			f := openFile(t, fmt.Sprintf("/proc/self/task/%d/comm", syscall.Gettid()), os.O_RDWR)
			p := open(t, 1)
			put(t, p, []byte("conformance"))
			fromPipe(t, f, p, 11, 11)
			f.Seek(0, io.SeekStart)
			if got, err := io.ReadAll(f); string(got) != "conformance\n" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	})
}

// TestConformanceWrongKinds is ltp splice07: descriptors that cannot be what they are asked to be.
func TestConformanceWrongKinds(t *testing.T) {
	closed := func(t *testing.T) *os.File { f := fileWith(t, "x"); f.Close(); return f }
	writeOnly := func(t *testing.T) *os.File { return openFile(t, fileWith(t, "x").Name(), os.O_WRONLY) }
	readOnly := func(t *testing.T) *os.File { return openFile(t, fileWith(t, "").Name(), os.O_RDONLY) }
	directory := func(t *testing.T) *os.File { return openFile(t, t.TempDir(), os.O_RDONLY) }
	opath := func(t *testing.T) *os.File { return openFile(t, fileWith(t, "").Name(), unix.O_PATH) }
	slotted(t, func(t *testing.T, open opener) {
		for _, tt := range []struct {
			name string
			open func(t *testing.T) *os.File
			err  error
		}{
			{"a closed file", closed, os.ErrClosed},
			{"a file opened to be written", writeOnly, syscall.EBADF},
			{"a directory", directory, syscall.EISDIR},
			{"a path", opath, syscall.EBADF},
		} {
			t.Run("ltp splice03, splice07: from "+tt.name, func(t *testing.T) {
				p := open(t, 2)
				put(t, p, []byte("abc"))
				n, err := penstock.Splice(context.Background(), p, tt.open(t), 10, 0)
				result{0, tt.err, penstock.SideSource}.check(t, n, err)
				take(t, p, []byte("abc"))
			})
		}
		for _, tt := range []struct {
			name string
			open func(t *testing.T) *os.File
			err  error
		}{
			{"a closed file", closed, os.ErrClosed},
			{"a file opened to be read", readOnly, syscall.EBADF},
			{"a directory", directory, syscall.EBADF},
			{"a path", opath, syscall.EBADF},
		} {
			t.Run("ltp splice03, splice07: to "+tt.name, func(t *testing.T) {
				p := open(t, 1)
				put(t, p, []byte("abc"))
				n, err := penstock.Splice(context.Background(), tt.open(t), p, 10, 0)
				result{0, tt.err, penstock.SideSink}.check(t, n, err)
				take(t, p, []byte("abc"))
			})
		}
	})
}
