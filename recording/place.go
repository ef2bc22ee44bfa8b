package recording

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// place says when the byte at an offset arrived, counted from Recording.base.
type place struct {
	off int64
	at  time.Duration
}

const (
	maxPlaces = 1 << 16 // kept in memory: 1 MiB of them

	placeBytes = 1 << 20 // between places of a stream without join points
	placeTime  = 500 * time.Millisecond
)

// far tells whether another place is worth a note of its own.
func (p place) far(q place) bool { return q.off-p.off >= placeBytes || q.at-p.at >= placeTime }

// places are the join points that were recorded, or places at intervals in a stream that has none; the first is in
// either case where the recording begins. They ascend in offset and in time. There are never more than maxPlaces: the
// older a place, the fewer are left beside it.
type places struct {
	all   []place
	joins bool
}

// add puts a place behind the others, if it is of the kind that is kept. Of several of one time the last is the one to
// find.
func (p *places) add(k place, join bool) {
	if join && !p.joins {
		p.joins = true
		p.all = p.all[:min(1, len(p.all))]
	}
	if n := len(p.all); n > 0 {
		last := p.all[n-1]
		if k.off <= last.off || p.joins && !join {
			return
		}
		k.at = max(k.at, last.at)
		if n > 1 && k.at == last.at {
			p.all[n-1] = k
			return
		}
	}
	if len(p.all) == maxPlaces {
		p.thin()
	}
	p.all = append(p.all, k)
}

// thin drops places until a quarter is free: those that are closer to the one before than a certain share of their age.
// So what is known of a time long ago is as good, in proportion, as of one not so long ago.
func (p *places) thin() {
	newest := p.all[len(p.all)-1].at
	for share := time.Duration(maxPlaces); len(p.all) > maxPlaces*3/4; share /= 2 {
		kept := p.all[:1]
		for _, k := range p.all[1:] {
			if k.at-kept[len(kept)-1].at >= (newest-k.at)/share {
				kept = append(kept, k)
			}
		}
		p.all = kept
	}
}

// find returns the newest place that is not after a time, or else the first.
func (p *places) find(at time.Duration) (place, bool) {
	if len(p.all) == 0 {
		return place{}, false
	}
	i, _ := slices.BinarySearchFunc(p.all, at, func(k place, at time.Duration) int {
		if k.at <= at {
			return -1
		}
		return 1
	})
	return p.all[max(i-1, 0)], true
}

// note adds a place that is recorded.
func (r *Recording) note(off int64, at time.Time, join bool) {
	r.noted = place{off, r.since(at)}
	r.mu.Lock()
	r.state.places.add(r.noted, join)
	r.mu.Unlock()
	if r.index != nil && (join || off != r.seg.from) { // a segment's line says so
		r.index.place(off, at, join)
	}
}

// mark is a join point that is still to come.
type mark struct {
	off int64
	at  time.Time
}

// marks is the queue of them, from the publisher to the writer. The zero marks is ready for use.
type marks struct {
	mu    sync.Mutex
	queue []mark // from head on; offsets ascend
	head  int

	any atomic.Bool
}

// maxMarks is how many may be waiting, so that a writer that does not come costs no more than this. Every second is
// then dropped: what is lost are places to join at.
const maxMarks = 1 << 16

func (q *marks) add(off int64, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.any.Store(true)
	if n := len(q.queue); n > q.head && q.queue[n-1].off >= off {
		return
	}
	if len(q.queue) == cap(q.queue) && q.head > 0 {
		q.queue = slices.Delete(q.queue, 0, q.head)
		q.head = 0
	}
	if len(q.queue) == maxMarks {
		kept := q.queue[:0]
		for i := 0; i < maxMarks; i += 2 {
			kept = append(kept, q.queue[i])
		}
		q.queue = kept
	}
	q.queue = append(q.queue, mark{off, at})
}

// ever tells whether the stream has join points.
func (q *marks) ever() bool { return q.any.Load() }

// from returns the first mark at an offset or after it.
func (q *marks) from(off int64) (mark, bool) {
	if !q.ever() {
		return mark{}, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.queue[q.head:]
	i, _ := slices.BinarySearchFunc(waiting, off, func(k mark, off int64) int { return cmp.Compare(k.off, off) })
	if i == len(waiting) {
		return mark{}, false
	}
	return waiting[i], true
}

// pop takes out the oldest mark, if it is before an offset.
func (q *marks) pop(before int64) (mark, bool) {
	if !q.ever() {
		return mark{}, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.queue) || q.queue[q.head].off >= before {
		return mark{}, false
	}
	k := q.queue[q.head]
	q.head++
	if q.head == len(q.queue) {
		q.queue, q.head = q.queue[:0], 0
	}
	return k, true
}
