package penstock

import "syscall"

// Splice moves up to n bytes from one pipe to another without waiting, and returns how many. References move where both
// pipes have one backing; between backings the bytes are copied once. ErrWouldBlock, with the side, is for nothing
// moved.
func Splice(dst, src Conduit, n int) (int, error) {
	switch s := src.(type) {
	case *Pipe:
		switch d := dst.(type) {
		case *Pipe:
			return splicePages(d, s, n)
		case *KernelPipe:
			return writeOut(d, s, n, true)
		}
	case *KernelPipe:
		switch d := dst.(type) {
		case *Pipe:
			return readIn(d, s, n)
		case *KernelPipe:
			return spliceKernel(d, s, n)
		}
	}
	panic("penstock: a Conduit of no known backing")
}

// Tee duplicates up to n bytes from the head of src to dst, consuming nothing, without waiting. It begins at the head
// each time and copies what fits: who needs all of it checks the count.
func Tee(dst, src Conduit, n int) (int, error) {
	switch s := src.(type) {
	case *Pipe:
		switch d := dst.(type) {
		case *Pipe:
			return teePages(d, s, n)
		case *KernelPipe:
			return writeOut(d, s, n, false)
		}
	case *KernelPipe:
		switch d := dst.(type) {
		case *Pipe:
			return teeIn(d, s, n)
		case *KernelPipe:
			return teeKernel(d, s, n)
		}
	}
	panic("penstock: a Conduit of no known backing")
}

// teePages duplicates references. The copies may not be appended to: the flag would let a write into one pipe show in
// the other.
func teePages(dst, src *Pipe, n int) (int, error) {
	return pushAll(dst, src.lend(make([]buffer, 0, DefaultSlots), n))
}

// splicePages duplicates references and then consumes as many: no moment at which a byte is in neither pipe, and never
// two locks held.
func splicePages(dst, src *Pipe, n int) (int, error) {
	n, err := teePages(dst, src, n)
	src.Discard(n)
	return n, err
}

// pushAll takes ownership of the references; those that find no slot are released.
func pushAll(dst *Pipe, bufs []buffer) (n int, err error) {
	if len(bufs) == 0 {
		return 0, &OpError{Op: "splice", Side: SideSource, Path: PathPages, Err: ErrWouldBlock}
	}
	dst.mu.Lock()
	defer dst.mu.Unlock()
	err = errPipeWouldBlock
	if dst.readClosed {
		err = &OpError{Op: "splice", Side: SideSink, Path: PathPages, Err: syscall.EPIPE}
	}
	for i, b := range bufs {
		if dst.fullLocked() || dst.readClosed {
			releaseAll(bufs[i:])
			break
		}
		dst.pushLocked(b)
		n, err = n+b.n, nil
	}
	return n, err
}

// writeOut writes the pages of src into the kernel pipe dst, and consumes what was taken if told to.
func writeOut(dst *KernelPipe, src *Pipe, n int, consume bool) (int, error) {
	bufs := src.lend(make([]buffer, 0, DefaultSlots), n)
	defer releaseAll(bufs)
	n, err := dst.writePages(bufs)
	if consume {
		src.Discard(n)
	}
	return n, err
}

// readIn reads from the kernel pipe src into fresh pages of dst.
func readIn(dst *Pipe, src *KernelPipe, n int) (int, error) {
	total := 0
	for total < n {
		m, _, err := dst.fill(n-total, src.readNow)
		total += m
		if err != nil || m == 0 {
			if total > 0 {
				return total, nil
			}
			return 0, err
		}
	}
	return total, nil
}

// teeIn copies by way of a side pipe, which tee fills and readIn empties.
func teeIn(dst *Pipe, src *KernelPipe, n int) (int, error) {
	side, err := NewKernelPipe(src.Cap())
	if err != nil {
		return 0, err
	}
	defer side.Close()
	if n, err = teeKernel(side, src, n); err != nil {
		return 0, err
	}
	return readIn(dst, side, n)
}

func releaseAll(bufs []buffer) {
	for _, b := range bufs {
		b.page.release()
	}
}

// fill reads once, up to n bytes, into the arena's page in progress and appends what came as a buffer. It tells whether
// the read got all the room there was, so that more may follow. It returns ErrWouldBlock, having read nothing, if no
// slot is free.
func (p *Pipe) fill(n int, read func([]byte) (int, error)) (m int, all bool, err error) {
	if p.full() {
		return 0, false, errPipeWouldBlock
	}
	f := p.arena.borrow()
	defer func() { p.arena.giveBack(f) }()
	space := f.space()
	space = space[:min(n, len(space))]
	m, err = read(space)
	if m <= 0 {
		return 0, false, err
	}
	p.push(f.carve(m))
	return m, m == len(space), err
}
