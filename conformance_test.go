package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
)

// The conformance tests are what the suites of others check about pipes (the Linux Test Project, gVisor, the BSDs,
// Linux's selftests) and what was measured on Linux 6.18, told to this package. A case is named after its source.
//
// Pages have the kernel's size here, so that slots hold as many bytes as there. Of the kernel's answers, 0 at the end is
// io.EOF and EBADF of one's own closed end io.ErrClosedPipe.
//
// What is not here cannot hold for a pipe in memory, or for these verbs:
//
//   - descriptors and processes: EBADF of numbers, EFAULT, ESPIPE of offsets, CLOEXEC, O_ flags, EMFILE, inodes, fstat,
//     /proc, signals (SIGPIPE, killing, fork); in ltp splice03, splice07, pipe02, pipe04 to pipe06, pipe2_0x, sendfile03,
//     sendfile04, vmsplice02 and af_alg08, in gVisor's Inode to OpenViaProcSelfFD, in the BSDs' fstat, ino and reverse;
//   - what the types rule out: tee of what is no pipe (tee02), a count of segments;
//   - other system calls: copy_file_range, SO_SPLICE, MSG_ZEROCOPY, kTLS records, madvise, protection keys, sysctls.

// kernelPage is the size of the kernel's pages on the machine where its answers were taken.
const kernelPage = 4096

// rig is two pipes that are told what to do and asked what they hold.
type rig struct {
	t    *testing.T
	p, q *Pipe
}

func openKernelLike(t *testing.T, c PipeConfig) *Pipe {
	t.Helper()
	c.PageSize = kernelPage
	p, err := OpenPipe(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); p.arena.Close() })
	return p
}

func newRig(t *testing.T, p, q PipeConfig) *rig {
	t.Helper()
	return &rig{t, openKernelLike(t, p), openKernelLike(t, q)}
}

// bytesOf is n bytes of which no two neighbours are the same.
func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%251 + i/kernelPage)
	}
	return b
}

func (r *rig) write(p *Pipe, b []byte) {
	r.t.Helper()
	if n, err := p.TryWrite(b); n != len(b) || err != nil {
		r.t.Fatalf("wrote %d of %d, %v", n, len(b), err)
	}
}

func (r *rig) put(p *Pipe, s string) { r.t.Helper(); r.write(p, []byte(s)) }

// short is a write that cannot put all of it.
func (r *rig) short(p *Pipe, n, want int) {
	r.t.Helper()
	if m, err := p.TryWrite(bytesOf(n)); m != want || !errors.Is(err, ErrWouldBlock) {
		r.t.Errorf("write of %d: %d, %v; want %d and that the rest would block", n, m, err, want)
	}
}

// read is one read with room for n bytes.
func (r *rig) read(p *Pipe, n int, want []byte) {
	r.t.Helper()
	b := make([]byte, n)
	if m, err := p.TryRead(b); err != nil || !bytes.Equal(b[:m], want) {
		r.t.Errorf("read of %d: %d bytes, %v; want %d", n, m, err, len(want))
	}
}

func (r *rig) empty(p *Pipe) {
	r.t.Helper()
	if n, err := p.TryRead(make([]byte, 1)); n != 0 || !errors.Is(err, ErrWouldBlock) {
		r.t.Errorf("read of an empty pipe: %d, %v", n, err)
	}
}

func (r *rig) lend(p *Pipe, b []byte, flags Flags) {
	r.t.Helper()
	if n, err := Vmsplice(context.Background(), p, b, nil, flags|NonBlock); n != len(b) || err != nil {
		r.t.Fatalf("vmspliced %d of %d, %v", n, len(b), err)
	}
}

// splice and tee go from p to q.
func (r *rig) splice(n, want int) {
	r.t.Helper()
	m, err := Splice(context.Background(), r.q, r.p, n, NonBlock)
	r.moved("splice", n, want, m, err)
}

func (r *rig) tee(n, want int) {
	r.t.Helper()
	m, err := Tee(context.Background(), r.q, r.p, n, NonBlock)
	r.moved("tee", n, want, m, err)
}

func (r *rig) moved(op string, n, want, m int, err error) {
	r.t.Helper()
	if m != want || (want > 0) != (err == nil) || want == 0 && !errors.Is(err, ErrWouldBlock) {
		r.t.Errorf("%s of %d: %d, %v; want %d", op, n, m, err, want)
	}
}

// holds looks at what a pipe holds, and in how many slots.
func (r *rig) holds(p *Pipe, want string, slots int) {
	r.t.Helper()
	b := make([]byte, len(want)+1)
	n, err := p.PeekInto(b)
	if string(b[:n]) != want || err != nil || p.Len() != len(want) {
		r.t.Errorf("the pipe holds %q (%d bytes), %v; want %q", b[:n], p.Len(), err, want)
	}
	r.slots(p, slots)
}

func (r *rig) peek(p *Pipe, n int) []byte {
	b := make([]byte, n)
	n, _ = p.PeekInto(b)
	return b[:n]
}

func (r *rig) slots(p *Pipe, want int) {
	r.t.Helper()
	if used := p.Slots() - p.FreeSlots(); used != want {
		r.t.Errorf("%d slots are filled, want %d", used, want)
	}
}

func (r *rig) isReady(what string, c <-chan struct{}, want bool) {
	r.t.Helper()
	ready := false
	select {
	case <-c:
		ready = true
	default:
	}
	if ready != want {
		r.t.Errorf("%s: %v, want %v", what, ready, want)
	}
}

func TestConformanceSlots(t *testing.T) {
	packet := PipeConfig{Packet: true}
	for _, tt := range []struct {
		name string
		p, q PipeConfig
		do   func(r *rig)
	}{
		{"measured: splice of a part leaves the merge flag behind", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.put(r.p, "0123456789")
			r.splice(4, 4)
			r.put(r.q, "xyz")
			r.put(r.p, "ABC")
			r.holds(r.q, "0123xyz", 2)
			r.holds(r.p, "456789ABC", 1)
		}},
		{"measured: tee leaves the merge flag behind", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.put(r.p, "0123456789")
			r.tee(10, 10)
			r.put(r.q, "yes")
			r.put(r.p, "MORE")
			r.holds(r.q, "0123456789yes", 2)
			r.holds(r.p, "0123456789MORE", 1)
		}},
		{"measured: splice of a whole slot moves the merge flag", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.put(r.p, "whole")
			r.splice(100, 5)
			r.put(r.q, "+tail")
			r.holds(r.q, "whole+tail", 1)
		}},
		{"measured: 16 one-byte writes fill one slot", PipeConfig{}, PipeConfig{}, func(r *rig) {
			for range 16 {
				r.put(r.p, "x")
			}
			r.holds(r.p, "xxxxxxxxxxxxxxxx", 1)
		}},
		{"measured: 16 one-byte splices fill 16 slots, and the pipe does not shrink", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.put(r.p, "0123456789abcdefg")
			for range 16 {
				r.splice(1, 1)
			}
			r.splice(1, 0)
			r.holds(r.q, "0123456789abcdef", 16)
			r.holds(r.p, "g", 1)
			if err := r.q.Resize(2); !errors.Is(err, syscall.EBUSY) {
				r.t.Errorf("resize: %v", err)
			}
			r.isReady("writable", r.q.Writable(), false)
		}},
		{"measured: vmsplice of 1024 x 1 byte takes 16", PipeConfig{}, PipeConfig{}, func(r *rig) {
			for range 16 {
				r.lend(r.p, []byte("x"), 0)
			}
			n, err := Vmsplice(context.Background(), r.p, []byte("x"), nil, NonBlock)
			if n != 0 || !errors.Is(err, ErrWouldBlock) {
				r.t.Errorf("%d, %v", n, err)
			}
		}},
		{"measured: vmsplice of 100,000 bytes, here whole and in one slot", PipeConfig{Slots: 1}, PipeConfig{}, func(r *rig) {
			r.lend(r.p, bytesOf(100_000), 0) // see "Differences from the kernel"
			r.slots(r.p, 1)
			r.read(r.p, 200_000, bytesOf(100_000))
		}},
		{"anon_pipe_write: lent memory is not appended to", PipeConfig{}, PipeConfig{}, func(r *rig) {
			mine := []byte("lent----")
			r.lend(r.p, mine[:4], 0)
			r.put(r.p, "tail")
			r.holds(r.p, "lenttail", 2)
			if string(mine) != "lent----" {
				r.t.Errorf("the lender's memory is %q", mine)
			}
		}},
		{"anon_pipe_write: a gift is not appended to", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.lend(r.p, make([]byte, 4, 8), Gift)
			r.put(r.p, "tail")
			r.holds(r.p, "\x00\x00\x00\x00tail", 2)
		}},
		{"measured: tee takes what fits from the head, and consumes nothing", PipeConfig{}, PipeConfig{Slots: 2}, func(r *rig) {
			r.write(r.p, bytesOf(30_000))
			r.tee(30_000, 8192)
			r.tee(30_000, 0)
			r.splice(30_000, 0)
			r.read(r.q, 9000, bytesOf(8192))
			r.read(r.p, 30_000, bytesOf(30_000))
		}},
		{"measured: splice of 1 MB moves what there is", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.write(r.p, bytesOf(65536))
			r.splice(1<<20, 65536)
			r.read(r.q, 65536, bytesOf(65536))
		}},
		{"ltp pipe/pipe12: a full pipe is EAGAIN", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.write(r.p, bytesOf(65536))
			r.short(r.p, 1, 0)
			r.short(r.p, 8192, 0)
			r.read(r.p, 65536, bytesOf(65536))
		}},
		{"ltp pipe/pipe12: an oversized write to an empty pipe returns the capacity", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.short(r.p, 65536+4096, 65536)
			r.read(r.p, 1<<20, bytesOf(65536))
		}},
		{"ltp pipe/pipe12: an oversized write to a pipe that is not empty leaves a hole", PipeConfig{}, PipeConfig{}, func(r *rig) {
			r.put(r.p, "x")
			r.short(r.p, 65536, 15*4096)
			if r.p.Len() != 15*4096+1 {
				r.t.Errorf("%d bytes", r.p.Len())
			}
			r.short(r.p, 1, 0) // the hole is in the first slot, and a write only goes behind the last
		}},
		{"gvisor pipe.cc NonBlocking: pages fill wholly before EWOULDBLOCK", PipeConfig{}, PipeConfig{}, func(r *rig) {
			for range 16 {
				r.write(r.p, bytesOf(4096))
			}
			r.short(r.p, 1, 0)
		}},
		{"ltp pipe/pipe15: fill, read all but one, write one", PipeConfig{Slots: 2}, PipeConfig{Slots: 1}, func(r *rig) {
			r.write(r.p, bytesOf(8192))
			r.read(r.p, 8191, bytesOf(8191))
			r.put(r.p, "!")
			r.write(r.q, bytesOf(4096)) // one slot is why the least is two
			r.read(r.q, 4095, bytesOf(4095))
			r.short(r.q, 1, 0)
		}},
		{"measured: a packet longer than a page is several", packet, PipeConfig{}, func(r *rig) {
			r.write(r.p, bytesOf(10_000))
			for _, end := range []int{4096, 8192, 10_000} {
				r.read(r.p, 20_000, bytesOf(10_000)[(end-1)/4096*4096:end])
			}
			r.empty(r.p)
		}},
		{"measured: a short read drops the rest of its packet", packet, PipeConfig{}, func(r *rig) {
			r.put(r.p, "0123456789")
			r.put(r.p, "ABCDEFGHIJ")
			r.read(r.p, 5, []byte("01234"))
			r.read(r.p, 100, []byte("ABCDEFGHIJ"))
		}},
		{"measured: packets stay packets in a plain pipe", packet, PipeConfig{}, func(r *rig) {
			r.put(r.p, "0123456789")
			r.put(r.p, "ABCDEFGHIJ")
			r.splice(100, 20)
			r.read(r.q, 100, []byte("0123456789"))
			r.read(r.q, 100, []byte("ABCDEFGHIJ"))
		}},
		{"measured: a piece of a packet is a packet, and so is the rest", packet, PipeConfig{}, func(r *rig) {
			r.put(r.p, "0123456789")
			r.splice(4, 4)
			r.read(r.q, 2, []byte("01"))
			r.empty(r.q)
			r.read(r.p, 100, []byte("456789"))
			r.empty(r.p)
		}},
		{"measured: a write behind a teed packet is not of it", packet, PipeConfig{}, func(r *rig) {
			r.put(r.p, "0123456789")
			r.tee(100, 10)
			r.put(r.q, "more")
			r.read(r.q, 100, []byte("0123456789"))
			r.read(r.q, 100, []byte("more"))
		}},
		{"measured: 16 one-byte packets fill the pipe", packet, PipeConfig{}, func(r *rig) {
			for range 16 {
				r.put(r.p, "x")
			}
			r.isReady("writable", r.p.Writable(), false)
			r.short(r.p, 1, 0)
			for range 16 {
				r.read(r.p, 100, []byte("x"))
			}
		}},
		{"measured: an empty write is no packet", packet, PipeConfig{}, func(r *rig) {
			r.put(r.p, "")
			r.empty(r.p)
			r.slots(r.p, 0)
		}},
		{"splice of a file's bytes into a packet pipe: no packet", packet, PipeConfig{}, func(r *rig) {
			n, err := Splice(context.Background(), r.p, bytes.NewReader(bytesOf(10)), 10, NonBlock)
			r.moved("splice", 10, 10, n, err)
			r.read(r.p, 4, bytesOf(10)[:4])
			r.read(r.p, 100, bytesOf(10)[4:])
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leakless(t)
			tt.do(newRig(t, tt.p, tt.q))
		})
	}
}

// TestConformanceMerge is the arithmetic of anon_pipe_write: the odd bytes of a write, those that fill no page, go
// behind the last buffer if all of them fit on its page; the rest fills pages of its own.
func TestConformanceMerge(t *testing.T) {
	for _, tt := range []struct {
		name            string
		first, read     int
		second          int
		slots, headHeld int
	}{
		{"all of it", 100, 0, 1, 1, 101},
		{"to the last byte of the page", 100, 0, 3996, 1, 4096},
		{"one byte too many", 100, 0, 3997, 2, 100},
		{"a whole page has no odd bytes", 100, 0, 4096, 2, 100},
		{"the odd bytes first, then the page", 100, 0, 4196, 2, 200},
		{"odd bytes that do not fit: no merge at all", 100, 0, 8191, 3, 100},
		{"what was read is no room", 100, 50, 3996, 1, 4046},
		{"nor is it later", 100, 50, 3997, 2, 50},
		{"a full page", 4096, 0, 1, 2, 4096},
		{"nothing to append to", 100, 100, 100, 1, 100},
	} {
		t.Run("anon_pipe_write: "+tt.name, func(t *testing.T) {
			leakless(t)
			r := newRig(t, PipeConfig{}, PipeConfig{})
			want := bytesOf(tt.first + tt.second)
			r.write(r.p, want[:tt.first])
			if tt.read > 0 {
				r.read(r.p, tt.read, want[:tt.read])
			}
			r.write(r.p, want[tt.first:])
			r.slots(r.p, tt.slots)
			head, err := r.p.Pull(context.Background(), 1<<20, NonBlock)
			if err != nil || head.Len() != tt.headHeld {
				t.Errorf("the first slot holds %d, %v; want %d", head.Len(), err, tt.headHeld)
			}
			if err := r.p.Unread(head); err != nil {
				t.Error(err)
			}
			r.read(r.p, len(want), want[tt.read:])
		})
	}
}

// creators are gVisor's: each of its tests of pipe.cc runs over pipes made in every way.
var creators = []struct {
	name string
	open PipeConfig
}{
	{"pipe", PipeConfig{}},
	{"of one slot", PipeConfig{Slots: 1}},
	{"with a quota", PipeConfig{Quota: NewQuota(1<<20, 1<<20)}},
	{"beyond its quota", PipeConfig{Quota: NewQuota(1, 0)}},
	{"of packets", PipeConfig{Packet: true}},
}

func TestConformancePipeByEveryCreator(t *testing.T) {
	for _, made := range creators {
		for _, tt := range []struct {
			name string
			do   func(r *rig)
		}{
			{"ltp pipe01, pipe10, gvisor pipe.cc Write: what is written is read", func(r *rig) {
				r.put(r.p, "this is a test")
				r.read(r.p, 100, []byte("this is a test"))
			}},
			{"gvisor pipe.cc WritePage", func(r *rig) {
				r.write(r.p, bytesOf(4096))
				r.read(r.p, 4096, bytesOf(4096))
			}},
			{"gvisor pipe.cc NonBlocking", func(r *rig) {
				r.empty(r.p)
				r.short(r.p, r.p.Cap()+1, r.p.Cap())
				r.short(r.p, 1, 0)
			}},
			{"gvisor pipe.cc ZeroSize", func(r *rig) {
				r.put(r.p, "")
				r.put(r.p, "x")
				if n, err := r.p.Read(nil); n != 0 || err != nil {
					r.t.Errorf("read: %d, %v", n, err)
				}
				r.read(r.p, 1, []byte("x"))
			}},
			{"gvisor pipe.cc FionRead", func(r *rig) {
				if r.p.Len() != 0 {
					r.t.Errorf("%d bytes in an empty pipe", r.p.Len())
				}
				r.put(r.p, "0123")
				if r.p.Len() != 4 {
					r.t.Errorf("%d bytes after a write of 4", r.p.Len())
				}
			}},
			{"ltp pipe14, gvisor pipe.cc WriterSideClosesReadDataFirst", func(r *rig) {
				r.put(r.p, "rest")
				r.p.CloseWrite()
				r.read(r.p, 100, []byte("rest"))
				for range 2 {
					if n, err := r.p.Read(make([]byte, 1)); n != 0 || err != io.EOF {
						r.t.Errorf("at the end: %d, %v", n, err)
					}
				}
			}},
			{"ltp pipe08, gvisor pipe.cc ReaderSideCloses", func(r *rig) {
				r.put(r.p, "lost")
				r.p.CloseRead()
				if n, err := r.p.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) {
					r.t.Errorf("%d, %v", n, err)
				}
				r.put(r.p, "") // as measured: nothing is looked at
			}},
			{"gvisor pipe.cc CloseTwice", func(r *rig) {
				for range 2 {
					r.p.Close()
					r.p.CloseRead()
					r.p.CloseWrite()
				}
				if _, err := r.p.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
					r.t.Errorf("read: %v", err)
				}
			}},
			{"ltp pipe03: the end that is closed is EBADF", func(r *rig) {
				r.p.CloseWrite()
				if _, err := r.p.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
					r.t.Errorf("write: %v", err)
				}
				r.q.CloseRead()
				if _, err := r.q.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
					r.t.Errorf("read: %v", err)
				}
			}},
		} {
			t.Run(tt.name+"/"+made.name, func(t *testing.T) {
				leakless(t)
				tt.do(newRig(t, made.open, made.open))
			})
		}
	}
}

// TestConformanceManyPipes opens and closes more pipes than a table of descriptors holds.
func TestConformanceManyPipes(t *testing.T) {
	t.Run("gvisor pipe.cc PipeFdCount: 66,000 pipes", func(t *testing.T) {
		leakless(t)
		for range 66_000 {
			p, err := OpenPipe(PipeConfig{Slots: 1, PageSize: kernelPage})
			if err != nil {
				t.Fatal(err)
			}
			p.Write([]byte("x"))
			p.Close()
		}
	})
}
