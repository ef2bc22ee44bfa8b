package penstock

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// Anonymous pages live in slabs outside the garbage-collected heap: pages hold no pointers, need no zeroing and no
// scanning, and their addresses never count towards the collector's goal. A slab is cut into pages of one size.
//
// Slabs belong to shards, and a page goes home to the shard it came from. A pipe takes its pages from one shard, so
// pipes on different processors share neither a lock nor a counter.
//
// Where the system refuses memory (or is not Linux), a slab is plain heap and everything else stays the same.

// slabSize is one huge page of x86 and arm64; the system is advised to back a slab with one.
const slabSize = MaxPageSize

// A shard keeps slabs that have no page in use: of as many bytes as its pages in use have, but leastIdle it may keep
// anyhow, and maxIdle is the most. More go back to the system.
const (
	leastIdle = 2 * slabSize
	maxIdle   = 8 * slabSize
)

// heapSlabSize is smaller, because a heap that is asked for huge blocks collects garbage for them.
const heapSlabSize = 64 << 10

// sizeClasses counts the powers of two from MinPageSize to MaxPageSize.
const sizeClasses = 10

// sizeClass returns the class of the smallest page that holds n bytes. Precondition: n <= MaxPageSize.
func sizeClass(n int) int { return max(bits.Len(uint(n-1)), minPageBits) - minPageBits }

const minPageBits = 12

// slab is slabSize bytes, cut into pages of one class, with a list of those that are free.
type slab struct {
	shard  *shard
	class  int
	memory []byte
	mapped bool // memory is the system's; else the heap's
	pages  []page
	free   *page
	used   int

	prev, next *slab // in its class's list, while it has free pages and others in use; next alone while it is idle
}

// shard is a page allocator of its own, with its own lock.
type shard struct {
	mu      sync.Mutex
	partial [sizeClasses]*slab // slabs with free pages and others in use, the most recently freed into first
	idle    *slab              // slabs without a page in use, the most recent first
	kept    int                // bytes of those
	busy    int                // bytes of pages in use
	inUse   atomic.Int64

	heapOnly bool // as if the system had no memory to map

	_ [64]byte // shards do not share a cache line
}

var (
	shards    = make([]shard, 2*runtime.GOMAXPROCS(0))
	nextShard atomic.Uint32
)

// pickShard returns a shard for a new pipe or arena, in turn.
func pickShard() *shard { return &shards[nextShard.Add(1)%uint32(len(shards))] }

func anonymousPages() (n int64) {
	for i := range shards {
		n += shards[i].inUse.Load()
	}
	return n
}

// get returns a page of the class with one reference, the caller's. Its bytes are whatever they were.
func (s *shard) get(class int) *page {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl := s.partial[class]
	if sl == nil {
		if sl = s.takeIdleLocked(class); sl == nil {
			sl = newSlab(s, class)
		}
		s.linkLocked(sl)
	}
	pg := sl.free
	sl.free, pg.next = pg.next, nil
	sl.used++
	s.busy += len(pg.data)
	if sl.free == nil {
		s.unlinkLocked(sl)
	}
	s.inUse.Add(1)
	pg.refs.Store(1)
	return pg
}

// put takes back a page that nobody holds.
func (s *shard) put(pg *page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse.Add(-1)
	sl := pg.home
	if sl.free == nil {
		s.linkLocked(sl)
	}
	pg.next, sl.free = sl.free, pg
	sl.used--
	s.busy -= len(pg.data)
	if sl.used > 0 {
		return
	}
	s.unlinkLocked(sl)
	sl.next, s.idle = s.idle, sl
	s.kept += len(sl.memory)
	for s.kept > min(maxIdle, max(leastIdle, s.busy)) {
		s.dropIdleLocked(&s.idle).destroy()
	}
}

// takeIdleLocked takes a slab of the class out of those that are idle; nil is none.
func (s *shard) takeIdleLocked(class int) *slab {
	for at := &s.idle; *at != nil; at = &(*at).next {
		if (*at).class == class {
			return s.dropIdleLocked(at)
		}
	}
	return nil
}

// dropIdleLocked takes the slab that a link of the idle ones leads to out of them.
func (s *shard) dropIdleLocked(at **slab) *slab {
	sl := *at
	*at, sl.next = sl.next, nil
	s.kept -= len(sl.memory)
	return sl
}

func (s *shard) linkLocked(sl *slab) {
	first := s.partial[sl.class]
	sl.prev, sl.next = nil, first
	if first != nil {
		first.prev = sl
	}
	s.partial[sl.class] = sl
}

func (s *shard) unlinkLocked(sl *slab) {
	if sl.prev != nil {
		sl.prev.next = sl.next
	} else {
		s.partial[sl.class] = sl.next
	}
	if sl.next != nil {
		sl.next.prev = sl.prev
	}
	sl.prev, sl.next = nil, nil
}

func newSlab(s *shard, class int) *slab {
	sl := &slab{shard: s, class: class}
	if !s.heapOnly {
		sl.memory = mapMemory(slabSize)
	}
	if sl.mapped = sl.memory != nil; !sl.mapped {
		sl.memory = make([]byte, max(MinPageSize<<class, heapSlabSize))
	}
	size := MinPageSize << class
	sl.pages = make([]page, len(sl.memory)/size)
	for i := range sl.pages {
		pg := &sl.pages[i]
		pg.data = sl.memory[i*size : (i+1)*size : (i+1)*size]
		pg.home = sl
		pg.next, sl.free = sl.free, pg
	}
	return sl
}

// destroy gives the memory back. Precondition: no page is in use.
func (sl *slab) destroy() {
	if sl.mapped {
		unmapMemory(sl.memory)
	}
	sl.memory, sl.pages, sl.free = nil, nil, nil
}
