package penstock

import (
	"context"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/internal/kernel"
)

const anonymousMemory = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS

func mapPages(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, anonymousMemory)
}

func unmapPages(b []byte) error { return unix.Munmap(b) }

// renewPages puts fresh pages of zeroes in the place of those that somebody else has now.
func renewPages(b []byte) error {
	if unix.Madvise(b, unix.MADV_DONTNEED) == nil {
		return nil
	}
	// Refused for memory that is locked, as that of a process after mlockall is: mapped over it goes as well.
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)),
		unix.PROT_READ|unix.PROT_WRITE, anonymousMemory|unix.MAP_FIXED)
	return err
}

// Vmsplice puts n bytes of m from off on into the pipe without copying them, waiting for room as it must, unless flags
// say NonBlock, and returns how many: fewer only with an error. A page, or a part of one, takes a slot.
//
// The bytes are lent, and nothing tells when they are free again. Until the reader has them all, and they have been
// consumed wherever they went from there (a tee of the pipe, or a socket's queue, holds the pages for longer than the
// pipe), the caller must not write to them: readers would see that. Who cannot know it uses Gift, or Write.
//
// With Gift whole pages become the pipe's own, so off and n are multiples of the page size. Once the call has returned
// the mapping shows zeroes in the place of those taken, and may be used at once: no reader ever sees what is written
// there then. What was not taken is as before. During the call nobody else may write to the range.
//
// Its error is EINVAL for what is no range of m, EPIPE without a reader, ErrWouldBlock, os.ErrDeadlineExceeded, the
// context's cause, os.ErrClosed if the pipe is closed, or m, of which the source is to blame. A system that refuses
// vmsplice (EPERM or ENOSYS, by seccomp) gets the bytes by write(2), with the same result. (vmsplice(2))
func (p *KernelPipe) Vmsplice(ctx context.Context, m *Mapping, off, n int, flags Flags) (int, error) {
	gift, page := flags&Gift != 0, os.Getpagesize()
	if off < 0 || n < 0 || gift && (off%page != 0 || n%page != 0) {
		return 0, opErr("vmsplice", SideSource, PathSplice, syscall.EINVAL)
	}
	if n == 0 {
		return 0, nil
	}
	l := lending{m: m, end: &p.w, gift: gift}
	for done := 0; ; {
		k, err := p.w.do(ctx, flags, func(fd int) (int, error) { return l.lend(fd, off+done, n-done) })
		done += k
		switch {
		case l.fault != nil:
			return done, opErr("vmsplice", SideSource, PathSplice, l.fault)
		case err == syscall.EAGAIN:
			return done, wouldBlock("vmsplice", SidePipe)
		case err != nil || done == n:
			return done, opErr("vmsplice", SidePipe, PathSplice, err)
		}
	}
}

// lending is one Vmsplice.
type lending struct {
	m     *Mapping
	end   *end
	gift  bool
	begun bool  // bytes have gone, one way or the other
	copy  bool  // by write: vmsplice was refused
	fault error // of the mapping, and not of the pipe
}

// lend puts what fits into the pipe, without waiting.
func (l *lending) lend(fd, off, n int) (int, error) {
	l.m.mu.RLock()
	defer l.m.mu.RUnlock()
	switch {
	case l.m.data == nil:
		l.fault = os.ErrClosed
		return 0, nil
	case off > len(l.m.data)-n:
		l.fault = syscall.EINVAL
		return 0, nil
	}
	b := l.m.data[off : off+n]
	var k int
	var err error
	if !l.copy {
		k, err = kernel.Vmsplice(fd, b, l.gift)
		if refused := err == syscall.EPERM || err == syscall.ENOSYS; refused && !l.begun {
			l.copy = true
		}
	}
	if l.copy {
		k, err = l.end.write(fd, b)
	}
	if k <= 0 {
		return 0, err
	}
	l.begun = true
	if l.gift && l.copy {
		clear(b[:k]) // the bytes were copied
	} else if l.gift {
		l.fault = renewPages(b[:k])
	}
	return k, err
}
