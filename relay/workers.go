package relay

import (
	"net"
	"sync/atomic"
)

// workers are the goroutines that forward what a Serve accepts. A few of those that are done wait for another connection:
// their stacks have grown to what one takes, which is a twentieth of the cost of a short one.
type workers struct {
	r    *Relay
	next chan net.Conn
	idle atomic.Int32
	over <-chan struct{} // nobody accepts any more
}

// mostIdle bounds those that wait.
const mostIdle = 32

// forward has a connection forwarded, and does not wait.
func (w *workers) forward(c net.Conn) {
	select {
	case w.next <- c:
	default:
		go w.work(c)
	}
}

func (w *workers) work(c net.Conn) {
	for {
		w.r.forward(c)
		if w.idle.Add(1) > mostIdle {
			w.idle.Add(-1)
			return
		}
		select {
		case c = <-w.next:
			w.idle.Add(-1)
		case <-w.over:
			return
		}
	}
}
