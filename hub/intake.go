package hub

import (
	"context"
	"time"

	"github.com/penstock-io/penstock"
)

const (
	headSize = 512     // of the first bytes are shown to who is to say what the stream is
	maxTail  = 4 << 10 // from there on an unfinished unit is cut all the same

	// joinPatience is how long viewers wait for a join point in a stream whose scanner finds none: then they begin with
	// the next unit, or, if it has found no units either, anywhere.
	joinPatience = 15 * time.Second
)

// intake turns a publisher's bytes into chunks. Where viewers may begin everywhere a run, as it arrived, is one. Where a
// scanner knows better each run is cut, by moving references, so that a chunk begins at the join point and none ends
// within a unit.
type intake struct {
	h       *Hub
	src     penstock.Source
	joiner  Joiner
	scan    func(head []byte) Scanner // nil once it was asked
	scanner Scanner                   // nil: everywhere
	tail    []byte                    // of the run before: an unfinished unit
	joined  int64                     // when there was a join point last, by clock; at first, when there was a run
	units   bool                      // since then there was a unit's beginning
	buf     []byte                    // storage of what the scanner looks at
	run     []*chunk                  // storage of what read returns
}

func newIntake(h *Hub, src penstock.Source, scan func([]byte) Scanner) *intake {
	in := &intake{h: h, src: src, scan: scan}
	in.joiner, _ = src.(Joiner)
	if in.joiner != nil {
		in.scan = nil
	}
	return in
}

// read waits for the source and returns the next chunks of the stream, valid until the next read, and with or without
// any the error that ends it. Then nothing is left behind.
func (in *intake) read() ([]*chunk, error) {
	p, n, why, err := in.h.read(in.src)
	in.run = in.run[:0]
	if n > 0 {
		in.h.noteIntake(in.src, p, why)
		in.cut(p, n, why)
	} else {
		in.h.giveUp(p)
	}
	if err != nil {
		in.flush()
	}
	return in.run, err
}

// rest returns what has been read and is in no chunk yet.
func (in *intake) rest() []*chunk {
	in.run = in.run[:0]
	in.flush()
	return in.run
}

// cut makes chunks of a run of n bytes in a pipe, which it takes over.
func (in *intake) cut(p penstock.Conduit, n int, why string) {
	c := &chunk{pipe: p, n: n, why: why, join: true, clean: true}
	if in.scan != nil {
		head := make([]byte, min(n, headSize))
		k, _ := p.PeekInto(head) // what cannot be looked at is nothing in particular
		in.scanner, in.scan = in.scan(head[:k]), nil
	}
	switch {
	case in.joiner != nil:
		c.scanned, c.join = true, in.joiner.AtJoin()
		c.clean = c.join
	case in.scanner != nil:
		in.scanAndCut(c)
		return
	}
	in.run = append(in.run, c)
}

// scanAndCut cuts the tail and what is in c as the scanner says.
func (in *intake) scanAndCut(c *chunk) {
	in.look(c)
	join, cut, end := in.scanner.Scan(in.buf)
	if end < 0 || len(in.buf)-end >= maxTail {
		end = len(in.buf)
	}
	c.scanned, c.clean = true, cut == 0
	early := in.mayBeginAt(c, join) // is told of every run: also of one that begins with a join point
	c.join = join == 0 || early
	if c.join {
		c.header = in.scanner.Header()
	}
	if len(in.tail) == 0 && join <= 0 && end == c.n { // as nearly always: it is a chunk as it is
		in.run = append(in.run, c)
		return
	}
	from := 0
	if join > 0 && join <= end {
		from = in.piece(c, from, join)
		c.join, c.clean, c.header = true, true, in.scanner.Header()
	}
	in.piece(c, from, end)
	in.tail = append(in.tail[:0], in.buf[end:]...)
	in.h.giveUp(c.pipe)
}

// mayBeginAt tells whether a viewer may begin with c although that is no join point: it is the stream's beginning, so
// there is nothing to wait for that would have come before; or there has been no join point for too long. The scanner has
// found the given one in c's run.
func (in *intake) mayBeginAt(c *chunk, join int) bool {
	now := clock()
	first := in.joined == 0
	if first || join >= 0 {
		in.joined, in.units = now, false
	}
	if first && c.clean && in.h.in.Load() == 0 {
		return true
	}
	in.units = in.units || c.clean
	if now-in.joined < int64(joinPatience) || in.units && !c.clean {
		return false
	}
	in.joined, in.units = now, false
	return true
}

// look makes buf of the tail and what is in c. A kernel pipe may not show all it holds; memory does.
func (in *intake) look(c *chunk) {
	in.buf = append(in.buf[:0], in.tail...)
	in.buf = append(in.buf, make([]byte, c.n)...)
	into := in.buf[len(in.tail):]
	if n, _ := c.pipe.PeekInto(into); n == c.n {
		return
	}
	if kp := c.toMemoryLocked(&in.h.arena, "moved to memory to be looked at"); kp != nil {
		in.h.pool.Put(kp)
	}
	n, _ := c.pipe.PeekInto(into)
	in.buf = in.buf[:len(in.tail)+n]
	c.n = n
}

// piece makes chunks of the bytes from and up to these offsets in buf, which are in the tail and then in like's pipe, and
// returns up to where it has got. The first is as like is.
func (in *intake) piece(like *chunk, from, to int) int {
	join, clean := like.join, like.clean
	for from < to {
		c := &chunk{scanned: true, join: join, clean: clean}
		if join {
			c.header = like.header
		}
		c.pipe, c.why = in.h.newPipeLike(like)
		if from < len(in.tail) {
			m, _ := c.pipe.Write(in.tail[from:min(to, len(in.tail))]) // fits into an empty pipe
			c.n += m
		}
		if want := to - from - c.n; want > 0 {
			m, _ := penstock.Splice(context.Background(), c.pipe, like.pipe, want, penstock.NonBlock)
			c.n += m
		}
		if c.n == 0 { // not expected of any kernel
			in.h.giveUp(c.pipe)
			return to
		}
		from += c.n
		in.run = append(in.run, c)
		join, clean = false, false
	}
	return from
}

// flush makes a chunk of the tail, behind which nothing will come.
func (in *intake) flush() {
	if len(in.tail) == 0 {
		return
	}
	c := &chunk{scanned: true, clean: true}
	c.pipe, c.why = in.h.newPipe(smallChunk)
	c.n, _ = c.pipe.Write(in.tail) // fits into an empty pipe
	in.run, in.tail = append(in.run, c), nil
}

// newPipe returns an empty pipe, the kernel's if there is one, and why it is not.
func (h *Hub) newPipe(size int) (p penstock.Conduit, why string) {
	if h.pool == nil {
		return h.arena.NewPipe(0), "splice is off"
	}
	kp, err := h.pool.Get(size)
	if err != nil && size > smallChunk {
		kp, err = h.pool.Get(smallChunk)
	}
	if err != nil {
		return h.arena.NewPipe(0), "no kernel pipe to be had"
	}
	return kp, ""
}

// newPipeLike returns an empty pipe for what is in c's: what is in memory stays there.
func (h *Hub) newPipeLike(c *chunk) (p penstock.Conduit, why string) {
	if kp, ok := c.pipe.(*penstock.KernelPipe); ok {
		return h.newPipe(kp.Cap())
	}
	return h.arena.NewPipe(0), c.why
}

// chunkSize is the capacity for the next run's kernel pipe.
func (h *Hub) chunkSize() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size
}

// resizeLocked follows the stream: what fills a third of a small pipe's bytes may have filled its slots, and gets
// larger ones; what has not been worth them for a while gets small ones again, which cost the user's pipe budget less.
func (h *Hub) resizeLocked(n int) {
	const enough = 64
	switch {
	case n >= smallChunk/3:
		h.size, h.narrow = largeChunk, 0
	case h.narrow < enough:
		h.narrow++
	default:
		h.size = smallChunk
	}
}
