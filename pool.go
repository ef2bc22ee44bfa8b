package penstock

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Pool lends kernel pipes and takes them back, and is the bound on what they cost: the kernel charges each pipe's
// capacity, used or not, against /proc/sys/fs/pipe-user-pages-soft of its user, who has 64 MiB in all unless the
// administrator says otherwise. A Pool is safe for concurrent use.
//
// Invariant: a pipe in the pool is empty, open, used by nobody, and has exactly the capacity it is filed under.
type Pool struct {
	limit int // bytes of capacity, lent and idle together

	mu     sync.Mutex
	held   int            // bytes of capacity that exist
	idle   map[int]*shelf // by capacity
	trim   *time.Timer    // runs while there are idle pipes
	closed bool

	// When the kernel gave less than was asked for, and how much that was: the user's budget is gone for a while.
	denied     time.Time
	deniedSize int
}

// lease is what a pipe knows of the pool that lent it.
type lease struct {
	pool   *Pool // nil for a pipe that is of no pool; never changes once the pipe has been lent
	size   int   // the capacity that it is filed under, and charged to the pool
	lent   atomic.Bool
	shared atomic.Bool // another process may have an end: it must never be lent to somebody else
}

// shelf is the idle pipes of one capacity; the last put back is the first lent, its slots being in the cache.
type shelf struct {
	pipes []*KernelPipe
	low   int // the fewest there were since the last trim: so many were not needed
}

func (s *shelf) pop() *KernelPipe {
	last := len(s.pipes) - 1
	kp := s.pipes[last]
	s.pipes[last] = nil
	s.pipes = s.pipes[:last]
	s.low = min(s.low, last)
	return kp
}

const (
	trimInterval = time.Second            // how long a pipe is kept that nobody needs
	deniedPause  = 100 * time.Millisecond // how long the kernel is not asked again that had nothing to give
)

// NewPool returns a pool of at most limit bytes of capacity; 0 is three quarters of what an unprivileged user may have.
func NewPool(limit int) *Pool {
	if limit == 0 {
		limit = defaultPoolLimit()
	}
	warmPool()
	return &Pool{limit: limit, idle: make(map[int]*shelf)}
}

// defaultPool is the pool of what the package does on its own: side pipes, and the pipes between two that are none.
var defaultPool = sync.OnceValue(func() *Pool { return NewPool(0) })

// Get lends an empty pipe of exactly size bytes of capacity, a power of two of pages and else EINVAL. Its error is
// ErrNoKernelPipe where none is to be had; the caller then does without. It does not wait.
func (p *Pool) Get(size int) (*KernelPipe, error) {
	if pages := size / os.Getpagesize(); pages <= 0 || pages*os.Getpagesize() != size || pages&(pages-1) != 0 {
		return nil, &OpError{Op: "open", Side: SidePipe, Err: syscall.EINVAL}
	}
	p.mu.Lock()
	if s := p.idle[size]; s != nil && len(s.pipes) > 0 {
		kp := s.pop()
		kp.lease.lent.Store(true)
		p.mu.Unlock()
		return kp, nil
	}
	denied := size >= p.deniedSize && p.deniedLocked()
	ok := !p.closed && size <= p.limit && !denied
	var evicted []*KernelPipe
	if ok {
		evicted = p.makeRoomLocked(size)
		if ok = p.held+size <= p.limit; ok {
			p.held += size
		}
	}
	p.mu.Unlock()
	for _, kp := range evicted {
		kp.Close()
	}
	if !ok {
		return nil, &OpError{Op: "open", Side: SidePipe, Err: ErrNoKernelPipe}
	}
	kp, err := NewKernelPipe(size)
	refused := 0 // no pipe at all
	if err == nil && kp.Cap() != size {
		refused = size // smaller ones may still be had
		kp.Close()
		err = errors.New("the kernel granted less capacity than asked for")
	}
	if err != nil {
		p.mu.Lock()
		if !p.deniedLocked() || refused < p.deniedSize {
			p.deniedSize = refused
		}
		p.denied = time.Now()
		p.held -= size
		p.mu.Unlock()
		return nil, &OpError{Op: "open", Side: SidePipe, Err: errors.Join(ErrNoKernelPipe, err)}
	}
	kp.lease.pool, kp.lease.size = p, size
	kp.lease.lent.Store(true)
	return kp, nil
}

// deniedLocked tells whether the kernel refused something a moment ago.
func (p *Pool) deniedLocked() bool { return time.Since(p.denied) <= deniedPause }

// makeRoomLocked takes idle pipes of other capacities out of the pool until size would fit.
func (p *Pool) makeRoomLocked(size int) (evicted []*KernelPipe) {
	for c, s := range p.idle {
		for len(s.pipes) > 0 && p.held+size > p.limit {
			evicted = append(evicted, s.pop())
			p.held -= c
		}
	}
	return evicted
}

// Put takes a pipe back. One with residue would corrupt its next user's stream: it is emptied, and if that fails
// closed. Closed is, too, what has been resized, has an end closed, is in use by somebody still, has been passed to
// another process, or was never this pool's: another's is not charged to that any more. A pipe that is put back twice is the next user's already: the second Put
// does nothing, unless it has been lent again in between.
func (p *Pool) Put(kp *KernelPipe) {
	held := kp.Len()
	if held > 0 {
		if _, err := kp.Discard(held); err == nil {
			held = kp.Len()
		}
	}
	p.putBack(kp, held == 0)
}

// putEmpty is Put without asking the kernel, for who knows by count that the pipe is empty.
func (p *Pool) putEmpty(kp *KernelPipe) { p.putBack(kp, true) }

func (p *Pool) putBack(kp *KernelPipe, empty bool) {
	owner := kp.lease.pool
	if owner == nil {
		kp.Close() // never lent, and so nobody else's
		return
	}
	if !kp.lease.lent.CompareAndSwap(true, false) {
		return
	}
	keep := owner == p && empty && kp.asLent()
	owner.mu.Lock()
	if keep = keep && !owner.closed; keep {
		owner.shelveLocked(kp)
	} else {
		owner.held -= kp.lease.size
	}
	owner.mu.Unlock()
	if !keep {
		kp.Close()
	}
}

func (p *Pool) shelveLocked(kp *KernelPipe) {
	s := p.idle[kp.lease.size]
	if s == nil {
		s = new(shelf)
		p.idle[kp.lease.size] = s
	}
	s.pipes = append(s.pipes, kp)
	if p.trim == nil {
		p.trim = time.AfterFunc(trimInterval, p.trimIdle)
	}
}

// trimIdle closes the pipes that nobody needed since it last ran.
func (p *Pool) trimIdle() {
	var spare []*KernelPipe
	p.mu.Lock()
	left := 0
	for c, s := range p.idle {
		n := s.low
		spare = append(spare, s.pipes[:n]...)
		s.pipes = append(s.pipes[:0], s.pipes[n:]...)
		s.low = len(s.pipes)
		p.held -= n * c
		left += len(s.pipes)
	}
	p.trim = nil
	if left > 0 {
		p.trim = time.AfterFunc(trimInterval, p.trimIdle)
	}
	p.mu.Unlock()
	for _, kp := range spare {
		kp.Close()
	}
}

// PoolStats tells what a pool holds, in bytes of capacity.
type PoolStats struct {
	Limit  int
	Held   int  // lent and idle
	Idle   int  // not lent
	Denied bool // the kernel refused a pipe, or its size, a moment ago
}

// Stats returns what the pool holds now.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PoolStats{Limit: p.limit, Held: p.held, Denied: p.deniedLocked()}
	for c, shelf := range p.idle {
		s.Idle += c * len(shelf.pipes)
	}
	return s
}

// Close closes the idle pipes; those that are lent are closed when they come back.
func (p *Pool) Close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	for c, s := range idle {
		p.held -= c * len(s.pipes)
	}
	if p.trim != nil {
		p.trim.Stop()
	}
	p.mu.Unlock()
	for _, s := range idle {
		for _, kp := range s.pipes {
			kp.Close()
		}
	}
	return nil
}
