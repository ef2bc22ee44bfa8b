package relay

// MirrorStats are the counters of a mirror: of all of a Relay that have its name.
type MirrorStats struct {
	Mirror    string `json:"mirror"`    // its name
	Delivered int64  `json:"delivered"` // bytes that it has had
	Lost      int64  `json:"lost"`      // bytes that it should have had, and has not
	Failed    int64  `json:"failed"`    // connections whose copy has failed or was given up, or was not ended well
}

// mirrorCounters are those of all mirrors that there have been, by name.
type mirrorCounters map[string]MirrorStats

func (mc mirrorCounters) add(more MirrorStats) {
	one := mc[more.Mirror]
	one.Mirror = more.Mirror
	one.Delivered += more.Delivered
	one.Lost += more.Lost
	one.Failed += more.Failed
	mc[more.Mirror] = one
}

// countFailed counts a connection of which a mirror has no good copy.
func (r *Relay) countFailed(mirror string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters.mirrors.add(MirrorStats{Mirror: mirror, Failed: 1})
}

// of returns the counters of these mirrors in their order, each name's once.
func (mc mirrorCounters) of(mirrors []Mirror) (all []MirrorStats) {
	seen := make(map[string]bool)
	for i := range mirrors {
		if name := mirrors[i].Name; !seen[name] {
			seen[name] = true
			mc.add(MirrorStats{Mirror: name})
			all = append(all, mc[name])
		}
	}
	return all
}
