package hub

// ring is the chunks that somebody may still claim, oldest first, by sequence number.
type ring struct {
	chunks []*chunk
	first  uint64 // sequence number of chunks[0]
}

// next is the sequence number of the chunk to come.
func (r *ring) next() uint64 { return r.first + uint64(len(r.chunks)) }

// at returns the chunk of that number, nil if it is not there yet or not any more.
func (r *ring) at(seq uint64) *chunk {
	if i := seq - r.first; seq >= r.first && i < uint64(len(r.chunks)) {
		return r.chunks[i]
	}
	return nil
}

func (r *ring) push(c *chunk) {
	c.seq = r.next()
	r.chunks = append(r.chunks, c)
}

// trim drops chunks that are nobody's from the old end.
func (r *ring) trim() {
	i := 0
	for i < len(r.chunks) && r.chunks[i].gone && r.chunks[i].claims == 0 {
		r.chunks[i] = nil
		i++
	}
	r.chunks, r.first = r.chunks[i:], r.first+uint64(i)
}

// from returns the chunk that holds the stream's byte at off, if it and all behind it are there to be claimed.
func (r *ring) from(off int64) *chunk {
	for i := len(r.chunks) - 1; i >= 0 && !r.chunks[i].gone; i-- {
		if c := r.chunks[i]; c.off <= off {
			if off < c.off+int64(c.n) {
				return c
			}
			return nil
		}
	}
	return nil
}
