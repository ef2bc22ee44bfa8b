package kernel

import "golang.org/x/sys/unix"

// SendNow is send(2) that does not wait, whatever the socket's description says.
func SendNow(fd int, b []byte) (int, error) { return send(fd, b, unix.MSG_DONTWAIT) }

// SendMore is send(2) with MSG_MORE: what follows at once goes into the same packet. What does not follow is sent all the
// same, 200 ms later.
func SendMore(fd int, b []byte) (int, error) { return send(fd, b, unix.MSG_MORE) }

func send(fd int, b []byte, flags int) (int, error) {
	for {
		n, err := unix.SendmsgN(fd, b, nil, nil, flags|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}
