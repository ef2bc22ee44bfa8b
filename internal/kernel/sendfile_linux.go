package kernel

import "golang.org/x/sys/unix"

// Sendfile is sendfile(2): it copies up to n bytes from the file in to out, which is anything that can be written to
// but a file opened with O_APPEND (EINVAL, even for n = 0). It reads at *off and advances that, or at the file's own
// position if off is nil. It returns 0 at the end of the file, and may return less than n at any time.
//
// It obeys the O_NONBLOCK of out, and of nothing else: a blocking socket is waited for. The pipe between the two is the
// kernel's own: when out fails, what was in it is dropped and the position of in set back, so that the count and *off
// are what out has taken. That pipe is charged to the user like any other, so ENOMEM may mean that its budget is gone.
// An in that is a pipe or a socket is EINVAL, a pipe with an offset ESPIPE.
func Sendfile(out, in int, off *int64, n int) (int, error) {
	for {
		m, err := unix.Sendfile(out, in, off, min(n, MaxTransfer))
		if err == unix.EINTR {
			continue
		}
		return max(m, 0), err
	}
}
