package penstock

import (
	"sync"
	"sync/atomic"
)

// PageSize is the size of a [Pipe]'s pages in bytes. Larger than the kernel's, because each page costs a reference
// count and an iovec entry here and no page table there.
const PageSize = 64 << 10

// page is memory with a count of who holds it. Whoever holds a reference may read what is in buffers on it; only the
// sole holder, or the holder of the [frag] for the part that no buffer covers yet, may write.
type page struct {
	data []byte // PageSize bytes
	refs atomic.Int32
}

var (
	pagePool   = sync.Pool{New: func() any { return &page{data: make([]byte, PageSize)} }}
	pagesInUse atomic.Int64
)

// PagesInUse returns how many pages this process's pipes hold: zero when all of them are closed.
func PagesInUse() int64 { return pagesInUse.Load() }

// newPage returns a page with one reference, the caller's.
func newPage() *page {
	pg := pagePool.Get().(*page)
	pg.refs.Store(1)
	pagesInUse.Add(1)
	return pg
}

func (pg *page) get() { pg.refs.Add(1) }

// release gives up one reference; the last one recycles the page.
func (pg *page) release() {
	switch n := pg.refs.Add(-1); {
	case n > 0:
	case n == 0:
		poison(pg.data)
		pagesInUse.Add(-1)
		pagePool.Put(pg)
	default:
		panic("penstock: page released more often than it was held")
	}
}

// buffer is what a slot of the ring holds: a run of bytes on a page, and one reference to it.
type buffer struct {
	page   *page
	off, n int

	// merge allows a write to append behind off+n, if this buffer's reference is the only one. It is set for pages
	// that a write filled and cleared on every duplicate; a slot is always filled by assigning a whole buffer, so
	// the flag cannot outlive the page that it was true of.
	merge bool
}

func (b buffer) bytes() []byte { return b.page.data[b.off : b.off+b.n] }

// dup returns another reference to the first n bytes, which may not be appended to.
func (b buffer) dup(n int) buffer {
	b.page.get()
	return buffer{page: b.page, off: b.off, n: n}
}

// frag is a page in progress: buffers are carved off its front while its tail is still free, so that small runs of a
// stream share a page although each is a buffer of its own. The zero frag has no page yet.
type frag struct {
	page *page
	off  int
}

// minSpace is the least that is worth a read: below it a frag's rest is given up for a fresh page.
const minSpace = 4 << 10

// space returns the free tail, of at least minSpace bytes.
func (f *frag) space() []byte {
	if f.page != nil && PageSize-f.off < minSpace {
		f.release()
	}
	if f.page == nil {
		f.page, f.off = newPage(), 0
	}
	return f.page.data[f.off:]
}

// carve makes a buffer of the first n bytes of the space, which the caller has filled.
func (f *frag) carve(n int) buffer {
	f.page.get()
	b := buffer{page: f.page, off: f.off, n: n}
	f.off += n
	return b
}

// release gives up the page in progress; the buffers on it keep it alive.
func (f *frag) release() {
	if f.page != nil {
		f.page.release()
		f.page, f.off = nil, 0
	}
}

// Arena is where pipes get their pages from when they are spliced into. Pipes of one arena pack their bytes densely:
// a run of a stream that does not fill its page leaves the rest to the next run, whichever pipe that goes to. The zero
// Arena is ready for use, from any goroutine.
type Arena struct {
	mu   sync.Mutex
	idle frag // the page in progress while nobody is filling it
}

// borrow hands the page in progress to the caller alone, who gives it back with giveBack. Nobody waits: a second
// borrower starts a page of its own.
func (a *Arena) borrow() frag {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.idle
	a.idle = frag{}
	return f
}

func (a *Arena) giveBack(f frag) {
	a.mu.Lock()
	f, a.idle = a.idle, f
	a.mu.Unlock()
	f.release()
}

// Close gives up the page in progress. Pipes of the arena go on.
func (a *Arena) Close() { a.giveBack(frag{}) }
