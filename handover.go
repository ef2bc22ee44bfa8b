package penstock

import (
	"context"
	"runtime"
)

// What is written while a reader waits for it, and is large, does not go through the ring: it is copied once, from the
// writer's memory to the reader's. The reader will be back for more; were the next write quicker, it would fill the ring,
// the reader would find it full, and everything would be copied twice ever after. So a large write that comes behind a
// handover first lets the reader run.

// minHandOver is the size in bytes from which a copy costs more than a change of goroutines.
const minHandOver = 16 << 10

// handOverYield is how many bytes cost as much to copy as it costs, at most, to let others run and come back: a write does
// so until it has lost what a handover would gain. Measured with 1 MiB writes on two cores: without this 3 writes of 100
// are handed over, with it nearly all, and a stream takes half to a third of the time.
const handOverYield = 8 << 10

// awaitBytesLocked is awaitDataLocked, except that a writer may have put n bytes straight into b meanwhile.
func (p *Pipe) awaitBytesLocked(ctx context.Context, b []byte, flags Flags) (n int, err error) {
	for {
		if err := p.dataLocked(); err != ErrWouldBlock || flags&NonBlock != 0 {
			return 0, err
		}
		if n, err := p.waitIntoLocked(ctx, &p.readable, b); n > 0 || err != nil {
			return n, err
		}
	}
}

// handOverLocked copies what it can of b[done:] to the reader that has waited longest, and returns how much. It gives up
// the lock, but not between the parts of a write that is atomic.
func (p *Pipe) handOverLocked(b []byte, done int, flags Flags) int {
	if len(b)-done < minHandOver || p.readable.first == nil && !p.handedOver || p.packet {
		return 0
	}
	atomic := len(b) <= p.pageSize
	if flags&NonBlock == 0 && (done == 0 || !atomic) {
		p.yieldToReaderLocked((len(b) - done) / handOverYield)
	}
	w := p.readable.first
	if w == nil || w.into == nil || !p.emptyLocked() || p.claimed || p.writableLocked() != nil {
		p.handedOver = false
		return 0
	}
	n := min(len(b)-done, len(w.into))
	if atomic && n < len(b)-done && p.fullLocked() {
		return 0 // every slot is promised: the rest would come later
	}
	p.readable.removeLocked(w)
	p.handedOver = true
	w.n = n
	p.in += int64(n)
	p.out += int64(n)
	if atomic && n < len(b)-done {
		copy(w.into, b[done:])
		w.ready <- struct{}{}
		return n
	}
	p.mu.Unlock() // nobody else touches a waiter that is off the queue
	copy(w.into, b[done:])
	w.ready <- struct{}{}
	p.mu.Lock()
	return n
}

// yieldToReaderLocked gives up the lock for the reader of the write before to come back.
func (p *Pipe) yieldToReaderLocked(times int) {
	for i := 0; i < times && p.handedOver && p.readable.first == nil && p.emptyLocked(); i++ {
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
	}
}
