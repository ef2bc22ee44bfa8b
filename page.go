package penstock

import (
	"context"
	"sync/atomic"
)

// Sizes of a pipe's pages, in bytes. They are powers of two. The default is larger than the kernel's 4 KiB, because a
// page costs a reference count and an iovec entry here and no page table there.
const (
	MinPageSize     = 4 << 10
	DefaultPageSize = 64 << 10
	MaxPageSize     = 2 << 20
)

// Stability tells who may still write to a page while buffers lie on it.
type Stability uint8

// The stabilities, best first.
const (
	Stable Stability = iota // nobody: what was confirmed stays as it is
	Shared                  // somebody else has the memory too, as a file has: it may change beneath the reader
	Lent                    // the lender may, and the reader sees it
)

func (s Stability) String() string {
	switch s {
	case Stable:
		return "stable"
	case Shared:
		return "shared"
	case Lent:
		return "lent"
	default:
		return "unknown"
	}
}

// Page is memory that buffers lie on, with the operations that the kernel's struct pipe_buf_operations has for it. A
// pipe does not care what is behind them: memory of its own, memory lent or given by a caller, a file's page whose read
// is still in flight, a window on a device. Anyone can implement it.
//
// Implementations must be comparable, as pointers are, and safe for concurrent use. A pipe calls none of these but Get with its lock held.
type Page interface {
	// Confirm waits until the bytes are there, and fails if they never will be: [ErrTruncated], or the read's error.
	// A context that is done makes it a test: it then returns nil if the bytes are there, else the context's error or
	// its cause, as it is and not wrapped.
	Confirm(ctx context.Context) error

	// Map makes the memory addressable and returns it, whole and only to be read. Each Map that succeeds is followed
	// by one Unmap, after which the bytes are not touched.
	Map() ([]byte, error)
	Unmap()

	// Get takes one more reference, Release gives one up. Whoever makes a page holds its first; with the last the
	// memory goes back to where it came from.
	Get()
	Release()

	// Steal tells whether the caller, who holds a reference, is the only owner and may now write.
	Steal() bool

	// Stability tells who may write meanwhile.
	Stability() Stability
}

// page is plain memory: anonymous, lent or given. Its bytes are always there.
//
// Whoever holds a reference may read what is in buffers on it. Only one party may write, and only to the part that no
// buffer covers: the holder of the one buffer with the [BufMerge] flag, or of the [frag].
type page struct {
	data []byte
	refs atomic.Int32
	lent bool

	loose bool // on the heap, and not counted: nobody needs to release it

	home *slab // of an anonymous page, nil for memory from elsewhere
	next *page // while it is free: the next free one of its slab

	released func() // the lender's, may be nil
}

var _ Page = (*page)(nil)

// otherPages counts the pages that are not anonymous; those are counted by their shards.
var otherPages atomic.Int64

// PagesInUse returns how many pages there are that somebody holds, of every kind: zero when all pipes and arenas are
// closed and all buffers released.
func PagesInUse() int64 { return otherPages.Load() + anonymousPages() }

// foreignPage makes a page of the caller's memory, with one reference.
func foreignPage(b []byte, lent bool, released func()) *page {
	otherPages.Add(1)
	pg := &page{data: b, lent: lent, released: released}
	pg.refs.Store(1)
	return pg
}

// loosePage makes a page of heap memory that may be forgotten, as what is in flight after a failure may be.
func loosePage(b []byte) *page {
	pg := &page{data: b, loose: true}
	pg.refs.Store(1)
	return pg
}

func (pg *page) Confirm(context.Context) error { return nil }
func (pg *page) Map() ([]byte, error)          { return pg.data, nil }
func (pg *page) Unmap()                        {}
func (pg *page) Get()                          { pg.refs.Add(1) }
func (pg *page) Steal() bool                   { return !pg.lent && pg.refs.Load() == 1 }

func (pg *page) Stability() Stability {
	if pg.lent {
		return Lent
	}
	return Stable
}

func (pg *page) Release() {
	if pg.drop() {
		pg.free()
	}
}

// drop gives up a reference and tells whether it was the last.
func (pg *page) drop() bool {
	n := pg.refs.Add(-1)
	if n < 0 {
		panic("penstock: page released more often than it was held")
	}
	return n == 0
}

// free sends the memory back. Precondition: nobody holds the page.
func (pg *page) free() {
	if pg.home != nil {
		poison(pg.data)
		pg.home.shard.put(pg)
		return
	}
	if pg.loose {
		return
	}
	otherPages.Add(-1)
	if f := pg.released; f != nil {
		pg.released = nil
		f()
	}
}
