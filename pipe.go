package penstock

import (
	"io"
	"math/bits"
	"sync"
	"syscall"
)

// DefaultSlots is the length of a pipe's ring where none is asked for: the kernel's PIPE_DEF_BUFFERS.
const DefaultSlots = 16

// Pipe is the pipe in this process's memory: a ring of buffers, each a run of bytes on a reference-counted page.
//
//	slots: a power of two; head and tail only ever count up, and are cut to the ring by a mask
//
//	        tail ──▶ oldest: readers consume here, tee starts here
//	  ┌────┬────┬────┬────┬────┬────┬────┬────┐
//	  │    │ ██ │ █▒ │ ██ │ ▒█ │    │    │    │      █ bytes of a buffer   ▒ the rest of its page
//	  └────┴────┴────┴────┴────┴────┴────┴────┘
//	                            ▲── head: writers fill here; full when head - tail == slots
//
// Fullness is counted in slots, not bytes, as in the kernel: sixteen one-byte buffers fill sixteen slots. All methods
// may be called from any goroutine; but a run that goes to a [Sink] stays in the pipe until the sink has taken it, so
// a pipe being spliced out of has that one reader.
type Pipe struct {
	mu       sync.Mutex
	readable sync.Cond // a buffer has come, or the last writer gone
	writable sync.Cond // a slot is free, or the reader gone

	ring       []buffer
	head, tail uint // next slot to fill, oldest filled slot
	held       int  // bytes between them

	readClosed, writeClosed bool

	arena *Arena
}

var _ Conduit = (*Pipe)(nil)

// NewPipe returns an empty pipe of at least the given number of slots, rounded up to a power of two; 0 is DefaultSlots.
// Pages for what is spliced into it come from the arena; nil is an arena of its own.
func NewPipe(slots int, arena *Arena) *Pipe {
	if slots <= 0 {
		slots = DefaultSlots
	}
	if arena == nil {
		arena = new(Arena)
	}
	p := &Pipe{ring: make([]buffer, 1<<bits.Len(uint(slots-1))), arena: arena}
	p.readable.L, p.writable.L = &p.mu, &p.mu
	return p
}

// Len returns the bytes held.
func (p *Pipe) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// Cap returns the bytes that fit when every slot's page is full.
func (p *Pipe) Cap() int { return len(p.ring) * PageSize }

func (p *Pipe) backing() string { return "memory" }

func (p *Pipe) slot(i uint) *buffer { return &p.ring[i&uint(len(p.ring)-1)] }
func (p *Pipe) fullLocked() bool    { return p.head-p.tail == uint(len(p.ring)) }

// pushLocked takes ownership of b's reference. Precondition: a slot is free.
func (p *Pipe) pushLocked(b buffer) {
	*p.slot(p.head) = b
	p.head++
	p.held += b.n
	p.readable.Signal()
}

// push is pushLocked for a run that has been read already and must not be lost: it waits for a slot. If the read end is
// closed, nobody will miss it.
func (p *Pipe) push(b buffer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.fullLocked() && !p.readClosed {
		p.writable.Wait()
	}
	if p.readClosed {
		b.page.release()
		return
	}
	p.pushLocked(b)
}

func (p *Pipe) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fullLocked()
}

// mergeLocked appends what fits of b behind the newest buffer, if that is ours alone and allows it.
func (p *Pipe) mergeLocked(b []byte) int {
	if p.head == p.tail {
		return 0
	}
	last := p.slot(p.head - 1)
	if !last.merge || last.page.refs.Load() != 1 {
		return 0
	}
	n := copy(last.page.data[last.off+last.n:], b)
	last.n += n
	p.held += n
	return n
}

// dropLocked consumes n bytes, which are held, from the tail.
func (p *Pipe) dropLocked(n int) {
	p.held -= n
	for n > 0 {
		b := p.slot(p.tail)
		if n < b.n {
			b.off, b.n = b.off+n, b.n-n
			break
		}
		n -= b.n
		b.page.release()
		*b = buffer{}
		p.tail++
	}
	p.writable.Signal()
}

// Write copies b into the pipe, waiting for room as it must, and returns how much it copied. Its error is EPIPE, after
// a partial count or none, once the read end is closed.
func (p *Pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	n := 0
	if !p.readClosed && !p.writeClosed {
		n = p.mergeLocked(b)
	}
	for n < len(b) {
		if p.readClosed || p.writeClosed {
			return n, opErr("write", SidePipe, "", syscall.EPIPE)
		}
		if p.fullLocked() {
			p.writable.Wait()
			continue
		}
		pg := newPage()
		m := copy(pg.data, b[n:])
		p.pushLocked(buffer{page: pg, n: m, merge: true})
		n += m
	}
	if !p.fullLocked() {
		p.writable.Signal() // chain: one waiter wakes the next while there is room
	}
	return n, nil
}

// Read copies the oldest bytes into b and consumes them, waiting while the pipe is empty and its write end open. Then
// its error is io.EOF.
func (p *Pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	for p.held == 0 {
		if p.readClosed {
			return 0, opErr("read", SidePipe, "", io.ErrClosedPipe)
		}
		if p.writeClosed {
			return 0, io.EOF
		}
		p.readable.Wait()
	}
	n := p.copyLocked(b)
	p.dropLocked(n)
	if p.held > 0 {
		p.readable.Signal()
	}
	return n, nil
}

// copyLocked copies from the tail on and consumes nothing.
func (p *Pipe) copyLocked(b []byte) (n int) {
	for i := p.tail; i != p.head && n < len(b); i++ {
		n += copy(b[n:], p.slot(i).bytes())
	}
	return n
}

// Peek copies the first bytes held into b without consuming them.
func (p *Pipe) Peek(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.copyLocked(b), nil
}

// Discard drops up to n bytes from the head of the stream and returns how many.
func (p *Pipe) Discard(n int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, p.held)
	p.dropLocked(n)
	return n, nil
}

// CloseWrite says that no more will be written: readers drain what is there and then get io.EOF.
func (p *Pipe) CloseWrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writeClosed = true
	p.wakeAllLocked()
	return nil
}

// Close closes both ends and releases what is held.
func (p *Pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readClosed, p.writeClosed = true, true
	p.dropLocked(p.held)
	p.wakeAllLocked()
	return nil
}

// wakeAllLocked is for what changes a state for good: everybody has to look.
func (p *Pipe) wakeAllLocked() {
	p.readable.Broadcast()
	p.writable.Broadcast()
}

// lend appends to dst a reference to each buffer of the first n bytes, for a sink to read from. The caller releases
// them, and discards what the sink took.
func (p *Pipe) lend(dst []buffer, n int) []buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := p.tail; i != p.head && n > 0; i++ {
		b := p.slot(i).dup(min(n, p.slot(i).n))
		dst = append(dst, b)
		n -= b.n
	}
	return dst
}
