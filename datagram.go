package penstock

import (
	"errors"
	"net"
	"os"
)

var errDatagrams = errors.New("a datagram socket has messages, and no stream: a short read would lose their ends")

// refuseDatagrams looks for what is a socket, but no stream.
func refuseDatagrams(v any) error {
	refused := false
	switch v := v.(type) {
	case *net.UDPConn, *net.IPConn:
		refused = true
	case *net.UnixConn:
		a := v.LocalAddr()
		refused = a != nil && a.Network() != "unix"
	case *os.File:
		refused = isDatagram(v)
	}
	if refused {
		return errDatagrams
	}
	return nil
}
