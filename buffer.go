package penstock

import (
	"context"
	"fmt"
	"math"
	"syscall"
)

// BufferFlags say what may be done with a buffer. The names are the kernel's PIPE_BUF_FLAG_… .
type BufferFlags uint8

const (
	// BufMerge lets a write append behind the buffer, up to the end of its page. It stands for the ownership of the
	// rest of the page, so of all buffers on a page one has it at most: every duplicate and every piece goes without.
	BufMerge BufferFlags = 1 << iota

	// BufPacket makes a read end with this buffer, and drop what of it the reader had no room for.
	BufPacket

	// BufGift says that the memory was given away by its owner, and may be stolen in turn.
	BufGift
)

// Buffer is what a slot of a pipe's ring holds: a run of bytes on a page, and one reference to that page. Whoever has a
// Buffer owns its reference, and passes it on with Push or Unread or gives it up with Release. A Buffer is a value: a
// copy of it is the same reference, [Buffer.Dup] is one more.
//
// The zero Buffer is no buffer.
type Buffer struct {
	page           Page // the memory, and the operations on it
	offset, length uint32
	flags          BufferFlags
}

// NewBuffer makes a buffer of length bytes at an offset of the page. It takes over the caller's reference. Its error is
// EINVAL for what cannot lie on a page, 2 GiB being the most. A page that turns out to be too short when it is mapped is
// ErrTruncated to whoever wants the bytes.
func NewBuffer(pg Page, offset, length int, flags BufferFlags) (Buffer, error) {
	if pg == nil || offset < 0 || length <= 0 || offset > math.MaxInt32 || length > math.MaxInt32-offset {
		return Buffer{}, &OpError{Op: "buffer", Side: SideSource, Err: syscall.EINVAL}
	}
	if flags&BufMerge != 0 {
		return Buffer{}, &OpError{Op: "buffer", Side: SideSource, Err: fmt.Errorf("a page from outside is not appended to: %w", syscall.EINVAL)}
	}
	if own, ok := pg.(*page); ok && offset+length > len(own.data) {
		return Buffer{}, &OpError{Op: "buffer", Side: SideSource, Err: syscall.EINVAL}
	}
	return Buffer{page: pg, offset: uint32(offset), length: uint32(length), flags: flags}, nil
}

// LentBuffer makes a buffer of b, which stays the caller's: released, if not nil, is called exactly once, when the last
// reference anywhere is gone, from whatever goroutine gave it up and with no lock held. Until then the caller does not
// write to b, or the readers see it. len(b) must not be 0 nor exceed 2 GiB.
func LentBuffer(b []byte, released func()) (Buffer, error) {
	if len(b) == 0 || len(b) > math.MaxInt32 {
		return Buffer{}, &OpError{Op: "buffer", Side: SideSource, Err: syscall.EINVAL}
	}
	return Buffer{page: foreignPage(b, true, released), length: uint32(len(b))}, nil
}

// GiftBuffer makes a buffer of b, which the caller gives away and never touches again.
func GiftBuffer(b []byte) (Buffer, error) {
	if len(b) == 0 || len(b) > math.MaxInt32 {
		return Buffer{}, &OpError{Op: "buffer", Side: SideSource, Err: syscall.EINVAL}
	}
	return Buffer{page: foreignPage(b, false, nil), length: uint32(len(b)), flags: BufGift}, nil
}

func (b Buffer) isZero() bool { return b.page == nil }

// Len returns the length in bytes; 0 only of the zero Buffer.
func (b Buffer) Len() int { return int(b.length) }

// Flags returns the flags.
func (b Buffer) Flags() BufferFlags { return b.flags }

// Page returns the page and where on it the buffer begins. No reference goes with it.
func (b Buffer) Page() (pg Page, offset int) { return b.page, int(b.offset) }

// Confirm waits until the bytes are there; see [Page].
func (b Buffer) Confirm(ctx context.Context) error { return b.page.Confirm(ctx) }

// Map returns the bytes, confirmed before and only to be read, until Unmap.
func (b Buffer) Map() ([]byte, error) {
	whole, err := b.page.Map()
	if err != nil {
		return nil, err
	}
	end := uint64(b.offset) + uint64(b.length)
	if uint64(len(whole)) < end {
		b.page.Unmap()
		return nil, ErrTruncated
	}
	return whole[b.offset:end:end], nil
}

// Unmap ends the use of what Map returned.
func (b Buffer) Unmap() { b.page.Unmap() }

// Stability tells who may write to the bytes meanwhile.
func (b Buffer) Stability() Stability { return b.page.Stability() }

// Release gives up the buffer's reference. The buffer is not used afterwards.
func (b Buffer) Release() { b.page.Release() }

// Dup returns a buffer of n bytes from offset off of this one, with a reference of its own. Like the kernel's tee it
// leaves the flags behind that are the original's alone: merge and gift.
func (b Buffer) Dup(off, n int) Buffer {
	if off < 0 || n <= 0 || n > int(b.length)-off {
		panic("penstock: a piece that is not within its buffer")
	}
	return b.dup(uint32(off), uint32(n))
}

func (b Buffer) dup(off, n uint32) Buffer {
	b.page.Get()
	return Buffer{page: b.page, offset: b.offset + off, length: n, flags: b.flags &^ (BufMerge | BufGift)}
}

// Steal returns the bytes, confirmed before, for the caller to write to until Unmap, if the buffer's reference is the
// only one and the memory is nobody else's: anonymous, or a gift. The buffer is released as ever when the caller is
// done.
func (b Buffer) Steal() ([]byte, bool) {
	if !b.page.Steal() {
		return nil, false
	}
	data, err := b.Map()
	if err != nil {
		return nil, false
	}
	return data, true
}

// Stabilise returns a buffer whose bytes nobody writes to any more: b itself if it is stable, else a copy, for which b
// is released. It waits for the bytes. With an error, b is still the caller's.
func (b Buffer) Stabilise(ctx context.Context) (Buffer, error) {
	if b.page.Stability() == Stable {
		return b, b.page.Confirm(ctx)
	}
	return b.copied(ctx)
}

// copied is b on memory of our own.
func (b Buffer) copied(ctx context.Context) (Buffer, error) {
	if err := b.page.Confirm(ctx); err != nil {
		return b, err
	}
	data, err := b.Map()
	if err != nil {
		return b, err
	}
	c := Buffer{page: anonymous(len(data)), length: b.length, flags: b.flags &^ (BufMerge | BufGift)}
	mem, _ := c.page.Map() // a plain page: it cannot fail
	copy(mem, data)
	b.page.Unmap()
	b.page.Release()
	return c, nil
}

// anonymous returns a page of at least n bytes, with one reference. It is for those who have no pipe whose pages to
// use.
func anonymous(n int) *page {
	if n > MaxPageSize {
		return foreignPage(make([]byte, n), false, nil)
	}
	return pickShard().get(sizeClass(n))
}

// bytes returns a plain page's bytes. Precondition: pg is b's page.
func (b *Buffer) bytes(pg *page) []byte { return pg.data[b.offset : b.offset+b.length] }
