package live

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// spareListener turns clients away while this process, or the system, has no descriptors left: they are accepted with
// the one that was kept for it, told, and closed. Without that they would wait in the kernel's queue for somebody else
// to leave, and know nothing.
type spareListener struct {
	net.Listener
	answer string // to those; empty: none
	log    *slog.Logger

	mu     sync.Mutex
	spare  *os.File // nil: none to be had
	closed bool
}

func newSpareListener(l net.Listener, answer string, log *slog.Logger) *spareListener {
	s := &spareListener{Listener: l, answer: answer, log: log}
	s.keep()
	return s
}

// keep opens the spare descriptor unless it is open, and tells whether there is one.
func (l *spareListener) keep() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil && !l.closed {
		l.spare, _ = os.Open(os.DevNull) // an error is for want of descriptors
	}
	return l.spare != nil
}

// spend closes it, and tells whether there was one.
func (l *spareListener) spend() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil {
		return false
	}
	l.spare.Close()
	l.spare = nil
	return true
}

// Accept waits for a client that there is a descriptor for. Linux says that there is none before there is a client, who
// may come much later: so it is looked again then.
func (l *spareListener) Accept() (net.Conn, error) {
	for {
		l.keep()
		c, err := l.Listener.Accept()
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) || !l.spend() {
			return c, err
		}
		c, again := l.Listener.Accept()
		if again != nil || l.keep() {
			return c, again
		}
		l.log.Warn("turned away", "client", c.RemoteAddr().String(), "reason", err)
		turnAway(c, l.answer)
	}
}

func (l *spareListener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.spend()
	return l.Listener.Close()
}

// turnAway answers a client, if there is anything to answer, and closes. It takes a moment at most: others wait. What
// the client has to say is read to its end, or as much as there is in that moment, so that the answer is not lost to a
// reset.
func turnAway(c net.Conn, answer string) {
	const moment = 200 * time.Millisecond
	defer c.Close()
	if answer == "" {
		return
	}
	_ = c.SetDeadline(time.Now().Add(moment))
	var head []byte
	for b := make([]byte, 1024); len(head) < maxHeaderBytes && !strings.Contains(string(head), "\r\n\r\n"); {
		n, err := c.Read(b)
		if head = append(head, b[:n]...); err != nil {
			break
		}
	}
	if _, err := c.Write([]byte(answer)); err != nil {
		return
	}
	if hc, ok := c.(interface{ CloseWrite() error }); ok {
		_ = hc.CloseWrite()
	}
	drain(c)
}
