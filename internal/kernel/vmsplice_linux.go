package kernel

import "golang.org/x/sys/unix"

// Vmsplice is vmsplice(2) into a pipe's write end: it lends the pages that b lies on, a slot for each, and returns how
// many bytes fitted, without waiting. With the read end it copies out of the pipe into b.
//
// b must not lie on the Go heap: nothing tells when the pipe, and every pipe teed from it, has let go of the pages, and
// until then what is written there shows in them. Only memory of mmap that is unmapped, never reused, is safe; the
// kernel holds on to the pages by itself. A gift (SPLICE_F_GIFT) is no promise of anything.
//
// SPLICE_F_NONBLOCK alone counts, the pipe's O_NONBLOCK does not (Linux 6.18). It waits for the first slot only. What
// is no pipe is EBADF, and b empty is 0 before anything is looked at.
func Vmsplice(pipe int, b []byte, gift bool) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	flags := unix.SPLICE_F_NONBLOCK
	if gift {
		flags |= unix.SPLICE_F_GIFT
	}
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(min(len(b), MaxTransfer))
	for {
		m, err := unix.Vmsplice(pipe, []unix.Iovec{iov}, flags)
		if err == unix.EINTR {
			continue
		}
		return max(m, 0), err
	}
}
