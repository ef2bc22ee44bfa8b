package relay

import (
	"crypto/tls"
	"net"
	"time"
)

// resetPatience is how long a side that is to be reset may take what has been sent to it.
const resetPatience = 10 * time.Second

// hangUp closes a side. told says that it has been told the other side's end: then that is all. Else its peer would take
// half a stream for a whole one, so it sees a reset, behind the bytes that were on their way to it, where the system tells
// what has arrived.
//
// A TLS connection's end that its peer did not say is not to be told here either, nor waited for, which its Close would,
// five seconds if the peer reads nothing.
func (r *Relay) hangUp(side net.Conn, told bool) {
	if t, is := side.(*tls.Conn); is {
		side = t.NetConn()
	}
	tcp, is := side.(*net.TCPConn)
	if told || !is {
		side.Close()
		return
	}
	left, known := unacknowledged(tcp)
	switch {
	case !known:
		tcp.Close()
	case left == 0:
		reset(tcp)
	default:
		r.beside(func() {
			awaitAcknowledged(tcp)
			reset(tcp)
		})
	}
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // a connection that is broken needs none
	c.Close()
}

// awaitAcknowledged waits until the peer has what was sent to it, or will not have it. Nothing tells of that: it is looked
// at from time to time.
func awaitAcknowledged(c *net.TCPConn) {
	began := time.Now()
	for pause := time.Millisecond; time.Since(began) < resetPatience; pause = min(2*pause, 100*time.Millisecond) {
		time.Sleep(pause)
		if left, known := unacknowledged(c); left == 0 || !known {
			return
		}
	}
}
