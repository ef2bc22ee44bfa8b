package kernel

import "golang.org/x/sys/unix"

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
