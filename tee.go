package penstock

import (
	"context"
	"os"
	"syscall"
)

// Tee duplicates up to n bytes from the head of src to dst, consuming nothing, and returns how many. It waits for the
// first byte and for room for it, never for more; with NonBlock not at all. It begins at the head each time and copies
// what fits: who needs all of it checks the count. At the end of the source its error is io.EOF.
//
// Between pipes of one backing each page gets one more reference, and the copies lose the merge and gift flags; between
// backings the bytes are copied. (tee(2))
func Tee(ctx context.Context, dst, src Conduit, n int, flags Flags) (int, error) {
	if n == 0 {
		return 0, nil
	}
	if n < 0 {
		return 0, opErr("tee", SidePipe, "", syscall.EINVAL)
	}
	if d, ok := dst.(*Pipe); ok {
		if s, ok := src.(*Pipe); ok {
			return teePages(ctx, d, s, n, flags)
		}
	}
	if _, ok := bare(dst); !ok {
		return 0, opErr("tee", SideSink, "", syscall.EINVAL)
	}
	if _, ok := bare(src); !ok {
		return 0, opErr("tee", SideSource, "", syscall.EINVAL)
	}
	return patiently(ctx, "tee", dst, src, n, flags)
}

func teePages(ctx context.Context, dst, src *Pipe, n int, flags Flags) (int, error) {
	if dst == src {
		return 0, opErr("tee", SidePipe, PathPages, syscall.EINVAL)
	}
	for {
		lockBoth(dst, src)
		linked := 0
		if dst.writableLocked() == nil && src.givesLocked() {
			linked = linkLocked(dst, src, n)
		}
		src.mu.Unlock()
		dst.mu.Unlock()
		if linked > 0 {
			return linked, nil
		}
		if err := prepare(ctx, "tee", dst, src, flags); err != nil {
			return 0, err
		}
	}
}

// linkLocked pushes a duplicate of each buffer of the first n bytes, while there are slots. (link_pipe)
func linkLocked(dst, src *Pipe, n int) (linked int) {
	for i := src.tail; linked < n && i != src.head && !dst.fullLocked(); i++ {
		from := src.slot(i)
		b := from.dup(0, uint32(min(int(from.length), n-linked)))
		dst.pushLocked(b)
		linked += b.Len()
	}
	src.chainReadersLocked()
	dst.chainWritersLocked()
	return linked
}

// sidePipe borrows an empty pipe from the process's pool, to tee what src holds into. It has a slot for each of src's, or
// else as many as are to be had: one of the kernel's least size is so while there are descriptors, also for a user whose
// budget is used up and next to a pool of which all is lent. Pool.Put takes that one, too.
func sidePipe(src *KernelPipe) (side *KernelPipe, err error) {
	for size := src.measure(); size >= os.Getpagesize(); size /= 2 {
		if side, err = defaultPool().Get(size); err == nil {
			return side, nil
		}
	}
	if least, lerr := NewKernelPipe(os.Getpagesize()); lerr == nil {
		return least, nil
	}
	return nil, err
}

// teeIn copies by way of a side pipe, which tee fills and readIn empties.
func teeIn(dst *Pipe, src *KernelPipe, n int) (int, error) {
	side, err := sidePipe(src)
	if err != nil {
		return 0, err
	}
	n, err = teeKernel(side, src, n)
	if err != nil {
		defaultPool().putEmpty(side)
		return 0, err
	}
	m, err := readIn(dst, side, n)
	if m == n {
		defaultPool().putEmpty(side)
	} else {
		defaultPool().Put(side) // what dst had no room for
	}
	return m, err
}
