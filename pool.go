package penstock

import (
	"errors"
	"sync"
	"time"
)

// Pool lends kernel pipes and takes them back, and is the bound on what they cost: the kernel charges each pipe's
// capacity, used or not, against /proc/sys/fs/pipe-user-pages-soft of its user, who has 64 MiB in all unless the
// administrator says otherwise. A Pool is safe for concurrent use.
//
// Invariant: a pipe in the pool is empty and has exactly the capacity it is filed under.
type Pool struct {
	limit int // bytes of capacity, lent and idle together

	mu     sync.Mutex
	held   int            // bytes of capacity that exist
	idle   map[int]*shelf // by capacity
	trim   *time.Timer    // runs while there are idle pipes
	closed bool
	denied time.Time // when the kernel gave less than was asked for: the user's budget is gone for a while
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

// Get lends an empty pipe of exactly size bytes of capacity, a power of two of pages. Its error is ErrNoKernelPipe
// where none is to be had; the caller then does without. It does not wait.
func (p *Pool) Get(size int) (*KernelPipe, error) {
	p.mu.Lock()
	if s := p.idle[size]; s != nil && len(s.pipes) > 0 {
		kp := s.pop()
		p.mu.Unlock()
		return kp, nil
	}
	evicted := p.makeRoomLocked(size)
	ok := !p.closed && p.held+size <= p.limit && time.Since(p.denied) > deniedPause
	if ok {
		p.held += size
	}
	p.mu.Unlock()
	for _, kp := range evicted {
		kp.Close()
	}
	if !ok {
		return nil, &OpError{Op: "open", Side: SidePipe, Err: ErrNoKernelPipe}
	}
	kp, err := NewKernelPipe(size)
	if err == nil && kp.Cap() != size {
		kp.Close()
		err = errors.New("the kernel granted less capacity than asked for")
	}
	if err != nil {
		p.mu.Lock()
		p.denied = time.Now()
		p.held -= size
		p.mu.Unlock()
		return nil, &OpError{Op: "open", Side: SidePipe, Err: errors.Join(ErrNoKernelPipe, err)}
	}
	return kp, nil
}

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
// closed.
func (p *Pool) Put(kp *KernelPipe) {
	held := kp.Len()
	if held > 0 {
		if _, err := kp.Discard(held); err == nil {
			held = kp.Len()
		}
	}
	p.mu.Lock()
	keep := !p.closed && held == 0
	if keep {
		p.shelveLocked(kp)
	} else {
		p.held -= kp.Cap()
	}
	p.mu.Unlock()
	if !keep {
		kp.Close()
	}
}

func (p *Pool) shelveLocked(kp *KernelPipe) {
	s := p.idle[kp.Cap()]
	if s == nil {
		s = new(shelf)
		p.idle[kp.Cap()] = s
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
	Denied bool // the kernel refused a pipe its size a moment ago
}

// Stats returns what the pool holds now.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PoolStats{Limit: p.limit, Held: p.held, Denied: time.Since(p.denied) <= deniedPause}
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
