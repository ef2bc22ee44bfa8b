package penstock_test

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"syscall"

	"github.com/penstock-io/penstock"
)

// The operations of FuzzRing that deal in buffers, in space and in what is no pipe.

// vmsplice lends, or gives away what is of an odd length.
func (r *rings) vmsplice(p *modelled, n int) {
	b, free := r.fresh(n), p.FreeSlots()
	var flags penstock.Flags
	var released func()
	i := len(r.lent)
	if n&1 == 0 {
		r.lent = append(r.lent, 0)
		released = func() { r.lent[i]++ }
	} else {
		flags = penstock.Gift
	}
	m, err := penstock.Vmsplice(background, p.Pipe, b, released, flags|penstock.NonBlock)
	if m == n && err == nil && p.inErr(free) == nil {
		p.want = append(p.want, b...)
		return
	}
	r.must("vmsplice", err, p.inErr(free))
	if m != 0 || err == nil {
		r.t.Fatalf("lent %d of %d: %v", m, n, err)
	}
	if released != nil {
		if r.lent[i] != 0 {
			r.t.Fatal("what was refused was released")
		}
		r.lent = r.lent[:i]
	}
}

func (r *rings) pull(p *modelled, n int) {
	b, err := p.Pull(background, n, penstock.NonBlock)
	if want := p.outErr(); want != nil || err != nil {
		r.must("pull", err, want)
		return
	}
	m := b.Len()
	if m < 1 || m > n {
		r.t.Fatalf("pulled %d of %d", m, n)
	}
	got, err := b.Map()
	if err != nil || !bytes.Equal(got, p.want[:m]) {
		r.t.Fatalf("pulled other bytes than were there, %v", err)
	}
	b.Unmap()
	r.hand = append(r.hand, inHand{b, bytes.Clone(got)})
	p.want = p.want[m:]
}

// drop takes the i-th buffer out of the hand.
func (r *rings) drop(i int) {
	r.hand = append(r.hand[:i], r.hand[i+1:]...)
}

func (r *rings) push(p *modelled, i int) {
	if len(r.hand) == 0 {
		return
	}
	i %= len(r.hand)
	h, free := r.hand[i], p.FreeSlots()
	if err := p.Push(background, h.buf, penstock.NonBlock); err != nil || p.inErr(free) != nil {
		r.must("push", err, p.inErr(free))
		return
	}
	p.want = append(p.want, h.want...)
	r.drop(i)
}

// unread puts back one buffer, or two.
func (r *rings) unread(p *modelled, i int) {
	if len(r.hand) == 0 {
		return
	}
	i %= len(r.hand)
	back := r.hand[i:min(i+1+i&1, len(r.hand))]
	var bufs []penstock.Buffer
	var want []byte
	for _, h := range back {
		bufs, want = append(bufs, h.buf), append(want, h.want...)
	}
	if err := p.Unread(bufs...); err != nil || p.readClosed {
		r.must("unread", err, syscall.EPIPE)
		return
	}
	p.want = append(want, p.want...)
	for range back {
		r.drop(i)
	}
}

// letGo releases a buffer, whose bytes are still what they were.
func (r *rings) letGo(i int) {
	if len(r.hand) == 0 {
		return
	}
	i %= len(r.hand)
	h := r.hand[i]
	if got, err := h.buf.Map(); err != nil || !bytes.Equal(got, h.want) {
		r.t.Fatalf("the bytes of a buffer in hand have changed, %v", err)
	}
	h.buf.Unmap()
	h.buf.Release()
	r.drop(i)
}

// peek asks only for what will not be waited for.
func (r *rings) peek(p *modelled, n int) {
	if n > len(p.want) && !p.writeClosed && !p.readClosed {
		n = len(p.want)
	}
	b, err := p.Peek(n)
	switch {
	case n == 0:
		r.must("peek", err, nil)
	case p.outErr() != nil:
		r.must("peek", err, p.outErr())
	case r.packets && errors.Is(err, syscall.EMSGSIZE) && len(b) < n && len(b) > 0 && bytes.HasPrefix(p.want, b):
	case n > len(p.want):
		if err != io.EOF || !bytes.Equal(b, p.want) {
			r.t.Fatalf("peek at the end: %d of %d, %v", len(b), len(p.want), err)
		}
	case err != nil || !bytes.Equal(b, p.want[:n]):
		r.t.Fatalf("peek: %d of %d, %v", len(b), n, err)
	}
}

// reserve fills all that it is offered, more than will be committed.
func (r *rings) reserve(p *modelled, n int) {
	if p.space == nil && p.inErr(p.FreeSlots()) == penstock.ErrWouldBlock {
		return // it would wait
	}
	space, err := p.Reserve(n)
	if p.space == nil && p.inErr(1) != nil {
		r.must("reserve", err, p.inErr(1))
		return
	}
	if err != nil || len(space) < n {
		r.t.Fatalf("%d bytes of space for %d: %v", len(space), n, err)
	}
	copy(space, r.fresh(len(space)))
	p.space = space
}

func (r *rings) commit(p *modelled, n int) {
	if n > len(p.space) {
		r.must("commit beyond the space", p.Commit(len(p.space)+1), syscall.EINVAL)
		n = len(p.space)
	}
	if n == 0 {
		return
	}
	b := bytes.Clone(p.space[:n])
	err := p.Commit(n)
	switch {
	case p.readClosed:
		r.must("commit", err, syscall.EPIPE)
	case err == nil:
		p.want, p.space = append(p.want, b...), nil
	case p.writeClosed:
		r.must("commit", err, io.ErrClosedPipe)
	default:
		r.t.Fatal(err)
	}
}

func (r *rings) resize(p *modelled, slots int) {
	was, free := p.Slots(), p.FreeSlots()
	err := p.Resize(slots)
	rounded := 1 << bits.Len(uint(slots-1))
	switch {
	case p.readClosed && p.writeClosed:
		r.must("resize", err, syscall.EBADF)
	case err == nil && p.Slots() == rounded && (free == 0 || rounded >= was-free):
	case errors.Is(err, syscall.EBUSY) && p.Slots() == was && (free == 0 || rounded < was-free):
	default:
		r.t.Fatalf("%d slots, %d of them free, to %d: %v", was, free, rounded, err)
	}
}

func (r *rings) discard(p *modelled, n int) {
	m, err := p.Discard(n)
	if m != min(n, len(p.want)) || err != nil {
		r.t.Fatalf("discarded %d of %d of %d: %v", m, n, len(p.want), err)
	}
	p.want = p.want[m:]
}

// fillFromReader splices in from what is no pipe.
func (r *rings) fillFromReader(p *modelled, n int) {
	b, free := r.fresh(n), p.FreeSlots()
	src := bytes.NewReader(b)
	m, err := penstock.Splice(background, p.Pipe, src, n, penstock.NonBlock)
	if src.Len() != n-m {
		r.t.Fatalf("%d bytes were read, %d were moved", n-src.Len(), m)
	}
	p.want = append(p.want, b[:m]...)
	if m == 0 || err != nil {
		r.must("splice from a reader", err, p.inErr(free))
		if side, _ := penstock.SideOf(err); side != penstock.SideSink {
			r.t.Fatalf("%v blames the %v", err, side)
		}
	}
}

// drainToWriter splices out into what is no pipe.
func (r *rings) drainToWriter(p *modelled, n int) {
	var dst bytes.Buffer
	m, err := penstock.Splice(background, &dst, p.Pipe, n, penstock.NonBlock)
	if m != dst.Len() || !bytes.HasPrefix(p.want, dst.Bytes()) {
		r.t.Fatalf("moved %d, wrote %d, not what was there", m, dst.Len())
	}
	if want := p.outErr(); want != nil || err != nil {
		r.must("splice into a writer", err, want)
		return
	}
	if m != min(n, len(p.want)) {
		r.t.Fatalf("moved %d of %d, of %d", m, n, len(p.want))
	}
	p.want = p.want[m:]
}
