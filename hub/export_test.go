package hub

// What only tests look at.

// LeastBatch is how many viewers are worth a fast loop of their own.
const LeastBatch = leastBatch

// ArchiveVisits returns how often the viewer fell off the ring and went to the archive.
func (v *Viewer) ArchiveVisits() int64 { return v.tally.archived.Load() }

// Chunks returns how many chunks the ring remembers, gone ones included.
func (h *Hub) Chunks() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ring.chunks)
}
