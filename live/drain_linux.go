package live

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// drainBare is drain where the descriptor is to be had, or else false: who waits there has no buffer, which thousands
// of waiting viewers would each have on the heap.
func drainBare(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	drop := func(fd uintptr) bool {
		var b [64]byte // on the stack
		n, err := unix.Read(int(fd), b[:])
		if err == unix.EAGAIN {
			return false
		}
		gone = err == nil && n == 0 || err != nil && err != unix.EINTR
		return true // also with more to read: whoever does not stop sending meets the deadline all the same
	}
	for !gone && err == nil {
		err = raw.Read(drop)
	}
	return true
}
