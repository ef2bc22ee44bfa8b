package penstock

import (
	"sync"
	"syscall"
)

// Quota bounds what the pipes of one owner may hold together, in pages of MinPageSize. As the kernel does with its
// pipe-user-pages-soft and -hard, it counts the capacity of a pipe, used or not: slots times pages per slot, when the
// pipe is opened, resized and closed, and exactly. Reads and writes never touch it. It is safe for concurrent use.
//
//   - Beyond the soft limit a new pipe gets 2 slots, with which everything still works, and growing is refused (EPERM).
//   - Beyond the hard limit a new pipe is refused, too (ENFILE).
type Quota struct {
	soft, hard int

	mu   sync.Mutex
	used int
}

// slotsBeyondSoft is what a new pipe gets: the kernel's PIPE_MIN_DEF_BUFFERS, two because with one a writer that must
// fill a hole of less than a page would wait for a reader that waits for it.
const slotsBeyondSoft = 2

// NewQuota returns a quota with limits in pages of MinPageSize; 0 is no limit.
func NewQuota(soft, hard int) *Quota { return &Quota{soft: soft, hard: hard} }

// Used returns the pages that are charged now.
func (q *Quota) Used() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used
}

func beyond(used, limit int) bool { return limit > 0 && used > limit }

// charge sets the ring's size to what the quota grants.
func (p *Pipe) charge() error {
	q := p.quota
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	slots := int(p.limit)
	if beyond(q.used+p.pages(slots), q.soft) {
		slots = min(slots, slotsBeyondSoft)
	}
	if beyond(q.used+p.pages(slots), q.hard) {
		return syscall.ENFILE
	}
	q.used += p.pages(slots)
	p.charged, p.limit = slots, uint(slots)
	return nil
}

// rechargeLocked moves the charge from the present slots to so many.
func (p *Pipe) rechargeLocked(slots int) error {
	q := p.quota
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	used := q.used + p.pages(slots) - p.pages(p.charged)
	if slots > p.charged && (beyond(used, q.soft) || beyond(used, q.hard)) {
		return syscall.EPERM
	}
	q.used, p.charged = used, slots
	return nil
}

// creditLocked gives back all of the charge.
func (p *Pipe) creditLocked() {
	if p.charged > 0 {
		p.quota.mu.Lock()
		p.quota.used -= p.pages(p.charged)
		p.quota.mu.Unlock()
		p.charged = 0
	}
}

// pages returns what so many slots are charged for.
func (p *Pipe) pages(slots int) int { return slots << p.class }

// Slots returns the length of the ring.
func (p *Pipe) Slots() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.limit)
}

// FreeSlots returns how many slots are free: how many buffers could be put in now.
func (p *Pipe) FreeSlots() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.freeLocked())
}

// Cap returns the bytes that fit when every slot has a page of the pipe's own, and it is full.
func (p *Pipe) Cap() int { return p.Slots() * p.pageSize }

func (p *Pipe) freeLocked() uint {
	if p.fullLocked() { // or more than that, after an Unread
		return 0
	}
	return p.limit - (p.head - p.tail) - p.reserved
}

// Resize makes the ring at least so many slots long, rounded up to a power of two, keeping what is in it. Growing wakes
// writers. Its error is EBUSY if more slots are in use, EINVAL for what is no number of slots, EPERM if the quota
// refuses, EBADF if the pipe is closed. (F_SETPIPE_SZ)
func (p *Pipe) Resize(slots int) error {
	if slots <= 0 || slots > maxSlots {
		return opErr("resize", SidePipe, "", syscall.EINVAL)
	}
	slots = powerOfTwo(slots)
	p.mu.Lock()
	defer p.unlock()
	if p.readClosed && p.writeClosed {
		return opErr("resize", SidePipe, "", syscall.EBADF)
	}
	used := p.head - p.tail + p.reserved
	if uint(slots) < used {
		return opErr("resize", SidePipe, "", syscall.EBUSY)
	}
	if err := p.rechargeLocked(slots); err != nil {
		return opErr("resize", SidePipe, "", err)
	}
	p.moveRingLocked(slots)
	p.limit = uint(slots)
	p.chainWritersLocked()
	return nil
}

// moveRingLocked puts the buffers into a ring of another length. Precondition: they fit.
func (p *Pipe) moveRingLocked(slots int) {
	ring := make([]Buffer, slots)
	n := uint(0)
	for i := p.tail; i != p.head; i++ {
		ring[n] = *p.slot(i)
		n++
	}
	p.ring, p.tail, p.head = ring, 0, n
}
