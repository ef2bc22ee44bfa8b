package penstock

import "sync"

// Arena is where pipes get their pages from when they are spliced into. Pipes of one arena pack their bytes densely:
// a run of a stream that does not fill its page leaves the rest to the next run, whichever pipe that goes to. The zero
// Arena is ready for use, from any goroutine.
type Arena struct {
	mu    sync.Mutex
	shard *shard
	idle  frag // the page in progress while nobody is filling it
	shut  bool // its pipe is closed: no page is kept
}

// NewPipe is the package's NewPipe, of a pipe that is of this arena.
func (a *Arena) NewPipe(slots int) *Pipe {
	p := newPipe(PipeConfig{Slots: slots, Arena: a})
	p.ring = make([]Buffer, p.limit)
	return p
}

// borrow hands the page in progress to the caller alone, who gives it back with giveBack. Nobody waits: a second
// borrower starts a page of its own, as does one whose pages have another size.
func (a *Arena) borrow(pageSize int) frag {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.shard == nil {
		a.shard = pickShard()
	}
	f := frag{shard: a.shard, class: sizeClass(pageSize)}
	if a.idle.page != nil && a.idle.class == f.class {
		f, a.idle = a.idle, frag{}
	}
	return f
}

func (a *Arena) giveBack(f frag) {
	a.mu.Lock()
	if !a.shut {
		f, a.idle = a.idle, f
	}
	a.mu.Unlock()
	f.release()
}

// retire is Close for an arena that is one pipe's own: a page that is out is not kept when it comes back.
func (a *Arena) retire() {
	a.mu.Lock()
	a.shut = true
	f := a.idle
	a.idle = frag{}
	a.mu.Unlock()
	f.release()
}

// Close gives up the page in progress. Pipes of the arena go on.
func (a *Arena) Close() { a.giveBack(frag{}) }

// frag is a page in progress: buffers are carved off its front while its tail is still free, so that small runs of a
// stream share a page although each is a buffer of its own.
type frag struct {
	page  *page // nil before the first byte
	off   int
	shard *shard
	class int
}

// space returns the free tail, of at least MinPageSize bytes: what is left of a page below that is given up for a fresh
// one.
func (f *frag) space() []byte {
	if f.page != nil && len(f.page.data)-f.off < MinPageSize {
		f.release()
	}
	if f.page == nil {
		f.page, f.off = f.shard.get(f.class), 0
	}
	return f.page.data[f.off:]
}

// carve makes a buffer of the first n bytes of the space, which the caller has filled.
func (f *frag) carve(n int) Buffer {
	f.page.Get()
	b := Buffer{page: f.page, offset: uint32(f.off), length: uint32(n)}
	f.off += n
	return b
}

// release gives up the page in progress; the buffers on it keep it alive.
func (f *frag) release() {
	if f.page != nil {
		f.page.Release()
		f.page, f.off = nil, 0
	}
}
