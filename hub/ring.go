package hub

import "slices"

// ring is the chunks that somebody may still claim, in the order of their sequence numbers. Between them may be some that
// are nobody's any more, and where such have been forgotten numbers are missing: so that who stays at its place for ever
// holds what it has claimed there, and not the memory of what has gone by since.
type ring struct {
	chunks []*chunk
	seq    uint64 // of the chunk to come
}

// next is the sequence number of the chunk to come.
func (r *ring) next() uint64 { return r.seq }

// first is the sequence number of the oldest chunk.
func (r *ring) first() uint64 {
	if len(r.chunks) == 0 {
		return r.seq
	}
	return r.chunks[0].seq
}

// at returns the chunk of that number, nil if it is not there yet or not any more.
func (r *ring) at(seq uint64) *chunk {
	if seq >= r.seq || seq < r.first() {
		return nil
	}
	if i := len(r.chunks) - int(r.seq-seq); i >= 0 && r.chunks[i].seq == seq { // as nearly always: none is missing
		return r.chunks[i]
	}
	i, found := slices.BinarySearchFunc(r.chunks, seq, func(c *chunk, seq uint64) int {
		if c.seq < seq {
			return -1
		}
		return int(min(c.seq-seq, 1))
	})
	if !found {
		return nil
	}
	return r.chunks[i]
}

func (r *ring) push(c *chunk) {
	if len(r.chunks) == cap(r.chunks) {
		live := slices.DeleteFunc(r.chunks, (*chunk).nobodys)
		r.chunks = append(make([]*chunk, 0, 2*len(live)+kernelChunks), live...)
	}
	c.seq = r.seq
	r.seq++
	r.chunks = append(r.chunks, c)
}

// nobodys tells whether nobody has a claim on the chunk, nor can have one.
func (c *chunk) nobodys() bool { return c.gone && c.claims == 0 }

// trim drops chunks that are nobody's from the old end.
func (r *ring) trim() {
	i := 0
	for i < len(r.chunks) && r.chunks[i].nobodys() {
		r.chunks[i] = nil
		i++
	}
	r.chunks = r.chunks[i:]
}

// from returns the chunk that holds the stream's byte at off, if it and all behind it are there to be claimed.
func (r *ring) from(off int64) *chunk {
	seq := r.seq
	for i := len(r.chunks) - 1; i >= 0; i-- {
		c := r.chunks[i]
		if seq--; c.gone || c.seq != seq {
			return nil
		}
		if c.off <= off {
			if off < c.off+int64(c.n) {
				return c
			}
			return nil
		}
	}
	return nil
}

// oldestClaim returns the number of the oldest chunk that somebody has a claim on; without one that of the chunk to come.
func (r *ring) oldestClaim() uint64 {
	for _, c := range r.chunks {
		if c.claims > 0 {
			return c.seq
		}
	}
	return r.seq
}
