package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
)

// FuzzRing runs a program of operations on three pipes and, beside it, on three slices of bytes. What a pipe holds is
// then what its slice holds, whatever pages it lies on.
//
// The first two bytes of a program say what the pipes are like; then come operations: which, on which pipe, how much.
func FuzzRing(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 5, 2, 0, 0, 3, 1, 0, 0, 9})
	f.Add([]byte{0, 0, 0, 0, 200, 5, 3, 0, 0, 3, 5, 1, 0, 200, 2, 1, 1, 1, 7, 0, 0, 3, 9, 2, 0, 4, 10, 1, 0, 1})
	f.Add([]byte{1, 0x24, 0, 0, 0, 5, 0, 0, 0, 5, 1, 0, 0, 2, 2, 0, 1, 6, 4, 1, 0, 9, 12, 0, 0, 3})
	f.Add([]byte{0, 0, 13, 0, 0, 40, 0, 0, 0, 3, 14, 0, 0, 20, 15, 0, 0, 0, 16, 1, 0, 0, 5, 0, 255, 9, 8, 0, 0, 7, 3, 0, 0, 7})
	f.Add([]byte{0, 0x12, 5, 0, 190, 0, 6, 1, 130, 1, 2, 1, 131, 0, 3, 2, 128, 7, 4, 0, 1, 1, 11, 0, 0, 60, 18, 2, 140, 0, 17, 0, 0, 9})
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) < 2 || len(program) > 4<<10 {
			return
		}
		before := penstock.PagesInUse()
		r := newRings(t, program[0], program[1])
		for rest := program[2:]; len(rest) >= 4; rest = rest[4:] {
			r.step(rest[0], rest[1], rest[2], rest[3])
			r.check(8 << 10)
		}
		r.finish()
		if after := penstock.PagesInUse(); after != before {
			t.Fatalf("pages in use: %d before, %d after", before, after)
		}
	})
}

// modelled is a pipe and what it has to hold.
type modelled struct {
	*penstock.Pipe
	want                    []byte
	space                   []byte // what Reserve offered
	readClosed, writeClosed bool
}

// inHand is a buffer that no pipe holds.
type inHand struct {
	buf  penstock.Buffer
	want []byte
}

type rings struct {
	t       *testing.T
	arena   penstock.Arena
	pipes   [3]*modelled
	packets bool // then a read may drop more than it returns
	hand    []inHand
	lent    []int // how often each loan was released
	seed    uint32
}

const fuzzPage = penstock.MinPageSize

var background = context.Background()

func newRings(t *testing.T, kind, slots byte) *rings {
	r := &rings{t: t, packets: kind&1 != 0, seed: 1}
	for i := range r.pipes {
		p, err := penstock.OpenPipe(penstock.PipeConfig{
			Slots:    2 << (slots >> (2 * i) & 3 % 3),
			PageSize: fuzzPage,
			Packet:   r.packets && i == 0,
			Arena:    &r.arena,
		})
		if err != nil {
			t.Fatal(err)
		}
		r.pipes[i] = &modelled{Pipe: p}
	}
	return r
}

// fresh returns n bytes unlike any others.
func (r *rings) fresh(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		r.seed = r.seed*1664525 + 1013904223
		b[i] = byte(r.seed >> 24)
	}
	return b
}

// size makes a length of two bytes: a few bytes, or some pages, or whole pages.
func size(hi, lo byte) int {
	switch {
	case hi < 128:
		return int(hi)<<2&255 | int(lo)&63 + 1
	case hi < 192:
		return (int(hi)<<8|int(lo))%(3*fuzzPage) + 1
	default:
		return (int(lo)%4 + 1) * fuzzPage
	}
}

func (r *rings) step(op, which, hi, lo byte) {
	i := int(which) % 3
	p, other, third := r.pipes[i], r.pipes[(i+1+int(which/3)%2)%3], r.pipes[(i+2-int(which/3)%2)%3]
	n := size(hi, lo)
	switch op % 22 {
	case 0, 1:
		r.write(p, n)
	case 2, 3:
		r.read(p, n)
	case 4, 5:
		r.splice(other, p, n)
	case 6:
		r.tee(other, p, n)
	case 7:
		r.teeMany([]*modelled{other, third}, p, n)
	case 8:
		r.vmsplice(p, n)
	case 9:
		r.pull(p, n)
	case 10:
		r.push(p, int(lo))
	case 11:
		r.unread(p, int(lo))
	case 12:
		r.peek(p, n)
	case 13:
		r.reserve(p, min(n, fuzzPage))
	case 14:
		r.commit(p, n)
	case 15:
		r.resize(p, 1+int(lo)%16)
	case 16:
		r.discard(p, n)
	case 17:
		r.fillFromReader(p, n)
	case 18:
		r.drainToWriter(p, n)
	case 19:
		r.letGo(int(lo))
	case 20:
		if n, err := penstock.Splice(background, p.Pipe, p.Pipe, n, penstock.NonBlock); n != 0 || !errors.Is(err, syscall.EINVAL) {
			r.t.Fatalf("a pipe into itself: %d, %v", n, err)
		}
	case 21:
		r.shut(p, hi, lo)
	}
}

// check compares the first bytes of each pipe, up to limit, with what is wanted.
func (r *rings) check(limit int) {
	r.t.Helper()
	for i, p := range r.pipes {
		if p.Len() != len(p.want) {
			r.t.Fatalf("pipe %d holds %d bytes, want %d", i, p.Len(), len(p.want))
		}
		want := p.want[:min(limit, len(p.want))]
		got := make([]byte, len(want)+min(1, limit-len(want)))
		n, err := p.PeekInto(got)
		if n != len(want) || err != nil || !bytes.Equal(got[:n], want) {
			r.t.Fatalf("pipe %d shows %d bytes, %v; want the first %d of %d", i, n, err, len(want), len(p.want))
		}
		if p.FreeSlots() > p.Slots() {
			r.t.Fatalf("pipe %d: %d of %d slots are free", i, p.FreeSlots(), p.Slots())
		}
	}
	for i, n := range r.lent {
		if n > 1 {
			r.t.Fatalf("loan %d was released %d times", i, n)
		}
	}
}

// inErr is why nothing can be put into p, nil if something can.
func (p *modelled) inErr(free int) error {
	switch {
	case p.writeClosed:
		return io.ErrClosedPipe
	case p.readClosed:
		return syscall.EPIPE
	case free == 0:
		return penstock.ErrWouldBlock
	default:
		return nil
	}
}

// outErr is why nothing can be taken out of p, nil if something can.
func (p *modelled) outErr() error {
	switch {
	case p.readClosed:
		return io.ErrClosedPipe
	case len(p.want) > 0:
		return nil
	case p.writeClosed:
		return io.EOF
	default:
		return penstock.ErrWouldBlock
	}
}

func (r *rings) must(what string, err, want error) {
	r.t.Helper()
	if !errors.Is(err, want) {
		r.t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func (r *rings) write(p *modelled, n int) {
	b, free := r.fresh(n), p.FreeSlots()
	m, err := p.TryWrite(b)
	p.want = append(p.want, b[:m]...)
	switch {
	case p.readClosed || p.writeClosed:
		r.must("write", err, p.inErr(free))
		if m != 0 {
			r.t.Fatalf("wrote %d into a closed pipe", m)
		}
	case err == nil && m == n:
	case errors.Is(err, penstock.ErrWouldBlock) && m < n && p.FreeSlots() == 0 && free*fuzzPage < n && (n > fuzzPage || m == 0):
	default:
		r.t.Fatalf("wrote %d of %d with %d slots free: %v", m, n, free, err)
	}
}

func (r *rings) read(p *modelled, n int) {
	b := make([]byte, n)
	m, err := p.TryRead(b)
	if want := p.outErr(); want != nil || err != nil {
		r.must("read", err, want)
		return
	}
	took := len(p.want) - p.Len()
	if m < 1 || !bytes.Equal(b[:m], p.want[:m]) || took < m {
		r.t.Fatalf("read %d of %d, took %d, of %d", m, n, took, len(p.want))
	}
	if !r.packets && m != min(n, len(p.want)) || took != m && (!r.packets || m < n) {
		r.t.Fatalf("read %d of %d, took %d, of %d", m, n, took, len(p.want))
	}
	p.want = p.want[took:]
}

// moved checks what a transfer returned, which could move something if both sides were fine.
func (r *rings) moved(what string, dst, src *modelled, n, m int, err error) {
	r.t.Helper()
	if m > 0 {
		if err != nil || m > n || m > len(src.want) {
			r.t.Fatalf("%s: %d of %d, with %d there: %v", what, m, n, len(src.want), err)
		}
		dst.want = append(dst.want, src.want[:m]...)
		return
	}
	want, side := src.outErr(), penstock.SideSource
	if dst.writeClosed { // a mistake, which is told first
		want, side = io.ErrClosedPipe, penstock.SideSink
	} else if in := dst.inErr(dst.FreeSlots()); in != nil && (want == nil || want == io.EOF) {
		want, side = in, penstock.SideSink
	}
	if want == nil {
		r.t.Fatalf("%s moved nothing, although it could: %v", what, err)
	}
	r.must(what, err, want)
	if got, ok := penstock.SideOf(err); want != io.EOF && (!ok || got != side) {
		r.t.Fatalf("%s: %v blames the %v, want the %v", what, err, got, side)
	}
}

func (r *rings) splice(dst, src *modelled, n int) {
	m, err := penstock.Splice(background, dst.Pipe, src.Pipe, n, penstock.NonBlock)
	r.moved("splice", dst, src, n, m, err)
	src.want = src.want[m:]
}

func (r *rings) tee(dst, src *modelled, n int) {
	m, err := penstock.Tee(background, dst.Pipe, src.Pipe, n, penstock.NonBlock)
	r.moved("tee", dst, src, n, m, err)
}

func (r *rings) teeMany(dsts []*modelled, src *modelled, n int) {
	var bad []int // outputs that take nothing
	var pipes []penstock.Conduit
	for i, d := range dsts {
		pipes = append(pipes, d.Pipe)
		if d.inErr(d.FreeSlots()) != nil {
			bad = append(bad, i)
		}
	}
	out := src.outErr()
	m, err := penstock.TeeMany(background, pipes, src.Pipe, n, penstock.NonBlock)
	if m > 0 {
		if err != nil || m > n || m > len(src.want) || out != nil || bad != nil {
			r.t.Fatalf("teed %d of %d of %d: %v; bad outputs %v", m, n, len(src.want), err, bad)
		}
		for _, d := range dsts {
			d.want = append(d.want, src.want[:m]...)
		}
		return
	}
	var output *penstock.OutputError
	switch {
	case errors.As(err, &output):
		if !slices.Contains(bad, output.Output) || out != nil && out != io.EOF && !dsts[output.Output].writeClosed {
			r.t.Fatalf("%v, but the bad outputs are %v and the source says %v", err, bad, out)
		}
	case out == nil:
		r.t.Fatalf("teed nothing, although the source has something: %v", err)
	default:
		r.must("tee", err, out)
	}
}

func (r *rings) shut(p *modelled, hi, lo byte) {
	switch { // seldom, for there is little to be seen afterwards
	case hi == 255 && lo&1 == 0:
		p.CloseRead()
		p.readClosed, p.want = true, nil
	case hi == 255:
		p.CloseWrite()
		p.writeClosed = true
	}
}

// finish takes everything out and closes everything.
func (r *rings) finish() {
	r.check(1 << 30)
	for len(r.hand) > 0 {
		r.letGo(0)
	}
	for _, p := range r.pipes {
		if p.space != nil {
			if err := p.Commit(0); err != nil {
				r.t.Fatal(err)
			}
		}
		for len(p.want) > 0 {
			r.read(p, 5000)
		}
		p.Close()
	}
	r.arena.Close()
	for i, n := range r.lent {
		if n != 1 {
			r.t.Fatalf("loan %d was released %d times", i, n)
		}
	}
}
