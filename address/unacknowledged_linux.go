package address

import (
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many of the bytes written to a TCP connection the peer's kernel has not got. It counts the
// end of the stream, too. (tcp(7), SIOCOUTQ)
func unacknowledged(conn net.Conn) (n int) {
	tcp, ok := under(conn).(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	if err != nil {
		return 0
	}
	return n
}
