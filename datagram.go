package penstock

import (
	"errors"
	"net"
)

var errDatagrams = errors.New("a datagram socket has messages, and no stream: a short read would lose their ends")

// isDatagram tells whether v is a socket, but no stream. What a file is its edge knows.
func isDatagram(v any) bool {
	switch v := v.(type) {
	case *net.UDPConn, *net.IPConn:
		return true
	case *net.UnixConn:
		a := v.LocalAddr()
		return a != nil && a.Network() != "unix"
	default:
		return false
	}
}
