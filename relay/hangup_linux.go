package relay

import (
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many bytes a connection's peer has not acknowledged yet, and may still: none if the
// connection has failed.
func unacknowledged(c *net.TCPConn) (n int, known bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		const closed = 7 // TCP_CLOSE of net/tcp_states.h
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ); err != nil || n == 0 {
			return
		}
		if info, ierr := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); ierr == nil && info.State == closed {
			n = 0
		}
	})
	return n, err == nil
}
