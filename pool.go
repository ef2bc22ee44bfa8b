package penstock

import (
	"errors"
	"sync"
)

// Pool lends kernel pipes and takes them back, and is the bound on what they cost: the kernel charges each pipe's
// capacity, used or not, against /proc/sys/fs/pipe-user-pages-soft of its user, who has 64 MiB in all unless the
// administrator says otherwise. A Pool is safe for concurrent use.
//
// Invariant: a pipe in the pool is empty and has exactly the capacity it is filed under.
type Pool struct {
	limit int // bytes of capacity, lent and idle together

	mu     sync.Mutex
	held   int                   // bytes of capacity that exist
	idle   map[int][]*KernelPipe // by capacity
	closed bool
	denied bool // the kernel gave less than was asked for: the user's budget is gone for now
}

// NewPool returns a pool of at most limit bytes of capacity; 0 is three quarters of what an unprivileged user may have.
func NewPool(limit int) *Pool {
	if limit == 0 {
		limit = defaultPoolLimit()
	}
	return &Pool{limit: limit, idle: make(map[int][]*KernelPipe)}
}

// Get lends an empty pipe of exactly size bytes of capacity, a power of two of pages. Its error is ErrNoKernelPipe
// where none is to be had; the caller then does without. It does not wait.
func (p *Pool) Get(size int) (*KernelPipe, error) {
	p.mu.Lock()
	if list := p.idle[size]; len(list) > 0 {
		kp := list[len(list)-1]
		p.idle[size] = list[:len(list)-1]
		p.mu.Unlock()
		return kp, nil
	}
	evicted := p.makeRoomLocked(size)
	ok := !p.closed && p.held+size <= p.limit
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
	p.mu.Lock()
	p.denied = err != nil
	if err != nil {
		p.held -= size
	}
	p.mu.Unlock()
	if err != nil {
		return nil, &OpError{Op: "open", Side: SidePipe, Err: errors.Join(ErrNoKernelPipe, err)}
	}
	return kp, nil
}

// makeRoomLocked takes idle pipes of other capacities out of the pool until size would fit.
func (p *Pool) makeRoomLocked(size int) (evicted []*KernelPipe) {
	for c, list := range p.idle {
		for len(list) > 0 && p.held+size > p.limit {
			evicted = append(evicted, list[len(list)-1])
			list = list[:len(list)-1]
			p.held -= c
		}
		p.idle[c] = list
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
		p.idle[kp.Cap()] = append(p.idle[kp.Cap()], kp)
	} else {
		p.held -= kp.Cap()
	}
	p.mu.Unlock()
	if !keep {
		kp.Close()
	}
}

// PoolStats tells what a pool holds, in bytes of capacity.
type PoolStats struct {
	Limit  int
	Held   int  // lent and idle
	Idle   int  // not lent
	Denied bool // the kernel refused the last new pipe its size
}

// Stats returns what the pool holds now.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PoolStats{Limit: p.limit, Held: p.held, Denied: p.denied}
	for c, list := range p.idle {
		s.Idle += c * len(list)
	}
	return s
}

// Close closes the idle pipes; those that are lent are closed when they come back.
func (p *Pool) Close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	for c, list := range idle {
		p.held -= c * len(list)
	}
	p.mu.Unlock()
	for _, list := range idle {
		for _, kp := range list {
			kp.Close()
		}
	}
	return nil
}
