package relay

import (
	"crypto/tls"
	"net"
	"time"
)

// A side that is to be reset has time to take what has been sent to it: so long in all, and so long without taking any.
const (
	resetWithin = 30 * time.Second
	resetQuiet  = time.Second
)

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
		r.beside(nil, func() {
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
	began, last := time.Now(), -1
	moved := began
	for pause := time.Millisecond; time.Since(began) < resetWithin; pause = min(2*pause, 100*time.Millisecond) {
		left, known := unacknowledged(c)
		switch {
		case left == 0 || !known:
			return
		case left != last:
			last, moved = left, time.Now()
		case time.Since(moved) >= resetQuiet:
			return
		}
		time.Sleep(pause)
	}
}
