package kernel

import "golang.org/x/sys/unix"

// CopyFileRange is copy_file_range(2): it copies up to n bytes from the regular file in to the regular file out, by
// reference where the file system can. Offsets are as in [Sendfile], one for each side. It returns 0 at the end of in.
//
// It cannot be made non-blocking. Before Linux 5.3 both files had to be on one mount (EXDEV), since 5.19 they have to
// be on file systems of one type. An out opened with O_APPEND is EBADF, overlapping ranges of one file are EINVAL, and
// so is anything that is no regular file. A file whose size reads as 0, as in /proc, gives 0: that is not its end.
func CopyFileRange(out int, outOff *int64, in int, inOff *int64, n int) (int, error) {
	for {
		m, err := unix.CopyFileRange(in, inOff, out, outOff, min(n, MaxTransfer), 0)
		if err == unix.EINTR {
			continue
		}
		return max(m, 0), err
	}
}
