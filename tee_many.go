package penstock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
)

// OutputError says which of several outputs it was.
type OutputError struct {
	Output int // its index among the destinations
	Err    error
}

// Error reads "output 2: cause".
func (e *OutputError) Error() string { return fmt.Sprintf("output %d: %v", e.Output, e.Err) }

// Unwrap returns the cause.
func (e *OutputError) Unwrap() error { return e.Err }

// TeeMany is Tee into several pipes in step: each gets the same run of bytes, of at most n, or none gets any. All pipes
// are of one backing, else EINVAL, and different ones. An output that is full or closed is named by an [OutputError]
// inside the *OpError; nothing has moved then.
//
// Between memory pipes the run is as long as the output with the least room allows, and room is waited for, unless flags
// say NonBlock.
//
// A kernel pipe does not tell how many of its slots are free, so that only an empty one with as many slots as src is sure
// to have room, and nothing tells when it becomes empty. An output that is not so is ErrWouldBlock at once, also without
// NonBlock; one that is closed or has no reader is EPIPE. Nobody else may read src or write to an output meanwhile: if an
// output gets less all the same its error is io.ErrShortWrite, those before it have all of the run, those behind it
// nothing, and the count is what it got itself. (tee(2))
func TeeMany(ctx context.Context, dsts []Conduit, src Conduit, n int, flags Flags) (int, error) {
	if n == 0 || len(dsts) == 0 {
		return 0, nil
	}
	if n < 0 {
		return 0, opErr("tee", SidePipe, "", syscall.EINVAL)
	}
	switch src := src.(type) {
	case *Pipe:
		if pipes := different(dsts, src); pipes != nil {
			return teeManyPages(ctx, pipes, src, n, flags)
		}
	case *KernelPipe:
		if pipes := different(dsts, src); pipes != nil {
			return teeManyKernel(ctx, pipes, src, n, flags)
		}
	}
	return 0, opErr("tee", SidePipe, "", syscall.EINVAL)
}

// different returns the pipes as ones of src's backing, or nil if they are not, or one is there twice.
func different[P interface {
	comparable
	Conduit
}](pipes []Conduit, src P) (dsts []P) {
	seen := map[P]bool{src: true}
	for _, p := range pipes {
		dst, ok := p.(P)
		if !ok || seen[dst] {
			return nil
		}
		seen[dst] = true
		dsts = append(dsts, dst)
	}
	return dsts
}

// teeManyPages waits for the source, and then for each output in turn, without a lock.
func teeManyPages(ctx context.Context, dsts []*Pipe, src *Pipe, n int, flags Flags) (int, error) {
	all := append(slices.Clone(dsts), src) // locked in the one order that everybody keeps
	slices.SortFunc(all, func(a, b *Pipe) int { return int(a.id) - int(b.id) })
	for {
		for _, p := range all {
			p.mu.Lock()
		}
		linked := linkAllLocked(dsts, src, n)
		for _, p := range all {
			p.mu.Unlock()
		}
		if linked > 0 {
			return linked, nil
		}
		for i, dst := range dsts {
			if err := dst.ownEnd("tee"); err != nil {
				return 0, opErr("tee", SideSink, PathPages, &OutputError{i, rootCause(err)})
			}
		}
		end, err := prepareSource(ctx, "tee", src, flags)
		if err != nil {
			return 0, err
		}
		for i, dst := range dsts {
			if err := prepareSink(ctx, "tee", dst, flags); err != nil {
				return 0, opErr("tee", SideSink, PathPages, &OutputError{i, rootCause(err)})
			}
		}
		if end != nil {
			return 0, end
		}
	}
}

// linkAllLocked links as many of the first n bytes as every output has slots for.
func linkAllLocked(dsts []*Pipe, src *Pipe, n int) (linked int) {
	if !src.givesLocked() {
		return 0
	}
	for _, dst := range dsts {
		if dst.writableLocked() != nil || dst.fullLocked() {
			return 0
		}
		fits, slots := 0, dst.freeLocked()
		for i := src.tail; i != src.head && slots > 0 && fits < n; i++ {
			fits += int(src.slot(i).length)
			slots--
		}
		n = min(n, fits)
	}
	for _, dst := range dsts {
		linked = linkLocked(dst, src, n)
	}
	return linked
}

// teeManyKernel looks at all outputs before it begins.
func teeManyKernel(ctx context.Context, dsts []*KernelPipe, src *KernelPipe, n int, flags Flags) (int, error) {
	for {
		for i, dst := range dsts { // a mistake, which is told before the source is waited for
			if err := dst.gone(); err != nil {
				return 0, outputErr(i, err)
			}
		}
		held, end := src.available(ctx, flags)
		if end != nil && end != io.EOF {
			return 0, inTermsOf("tee", end)
		}
		slots := src.measure()
		for i, dst := range dsts {
			if err := dst.takesAll(slots); err != nil {
				return 0, outputErr(i, err)
			}
		}
		if end != nil {
			return 0, end
		}
		m, err := teeAll(dsts, src, min(n, held))
		if side, _ := SideOf(err); m > 0 || flags&NonBlock != 0 || side != SideSource || !errors.Is(err, ErrWouldBlock) {
			return m, err
		} // else another reader was faster
	}
}

// teeAll tees to one output after the other, and stops at the first that gets less.
func teeAll(dsts []*KernelPipe, src *KernelPipe, n int) (int, error) {
	for i, dst := range dsts {
		m, err := teeKernel(dst, src, n)
		if i == 0 && m > 0 {
			n = m // another reader has had the rest
		}
		if m == n {
			continue
		}
		if err == nil {
			err = io.ErrShortWrite
		}
		if side, _ := SideOf(err); i > 0 || side == SideSink {
			err = outputErr(i, rootCause(err))
		}
		return m, err
	}
	return n, nil
}

func outputErr(i int, err error) error {
	return opErr("tee", SideSink, PathSplice, &OutputError{i, err})
}

func rootCause(err error) error {
	if op, ok := err.(*OpError); ok {
		return op.Err
	}
	return err
}
