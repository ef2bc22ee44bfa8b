package address

import (
	"crypto/tls"
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many of the bytes written to a TCP connection the peer's kernel has not got. It counts the
// end of the stream, too. (tcp(7), SIOCOUTQ)
func unacknowledged(conn net.Conn) (n int) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
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
