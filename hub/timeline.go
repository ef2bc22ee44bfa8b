package hub

import (
	"sort"
	"time"
)

var origin = time.Now()

// clock is the time in nanoseconds since the process began, never 0: it does not jump.
func clock() int64 { return int64(time.Since(origin)) + 1 }

const (
	tick      = 100 * time.Millisecond // how finely a timeline tells the recent past
	mostTicks = 4096                   // what it holds, before it forgets every other one of the older half
)

// timeline knows when a stream's bytes were published: so that who is behind by bytes is known to be behind by seconds.
type timeline struct{ ticks []moment }

// moment says that the bytes from off on were published at that time, by clock, or a tick later.
type moment struct{ off, at int64 }

// note adds bytes that are published now.
func (t *timeline) note(off, now int64) {
	if n := len(t.ticks); n > 0 && now-t.ticks[n-1].at < int64(tick) {
		return
	}
	if len(t.ticks) == mostTicks {
		t.thin()
	}
	t.ticks = append(t.ticks, moment{off, now})
}

// thin forgets every other tick of the older half, but not the first.
func (t *timeline) thin() {
	half, kept := len(t.ticks)/2, 0
	for i := 0; i < half; i += 2 {
		t.ticks[kept] = t.ticks[i]
		kept++
	}
	t.ticks = append(t.ticks[:kept], t.ticks[half:]...)
}

// when returns the time by clock that the byte at off was published, or a little earlier; 0 is unknown.
func (t *timeline) when(off int64) int64 {
	i := sort.Search(len(t.ticks), func(i int) bool { return t.ticks[i].off > off })
	if i == 0 {
		return 0
	}
	return t.ticks[i-1].at
}

// lagLocked returns how far v is behind, in bytes and in time. In step it is not, whatever is on its way.
func (h *Hub) lagLocked(v *Viewer, now int64) (bytes int64, age time.Duration) {
	at := v.at.Load()
	bytes = h.in.Load() - at
	if v.place != behind || bytes <= 0 || !v.begun.Load() {
		return 0, 0
	}
	if when := h.timeline.when(at); when != 0 {
		age = time.Duration(now - when)
	}
	return bytes, age
}
