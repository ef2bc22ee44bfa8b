package kernel

import "golang.org/x/sys/unix"

func Sendfile(out, in int, off *int64, n int) (int, error) {
	for {
		m, err := unix.Sendfile(out, in, off, min(n, MaxTransfer))
		if err == unix.EINTR {
			continue
		}
		return max(m, 0), err
	}
}

func CopyFileRange(out int, outOff *int64, in int, inOff *int64, n int) (int, error) {
	for {
		m, err := unix.CopyFileRange(in, inOff, out, outOff, min(n, MaxTransfer), 0)
		if err == unix.EINTR {
			continue
		}
		return max(m, 0), err
	}
}

// SendMore is send(2) with MSG_MORE: what follows at once goes into the same packet. What does not follow is sent all the
// same, 200 ms later.
func SendMore(fd int, b []byte) (int, error) {
	for {
		n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}
