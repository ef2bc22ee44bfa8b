// Package socket does with sockets what a benchmark's peers need: they must be cheap, and must not pace.
package socket

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// SetCongestion chooses a sender's congestion control; the empty name leaves the system's.
func SetCongestion(c syscall.Conn, name string) error {
	if name == "" {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		failure = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	})
	if err == nil {
		err = os.NewSyscallError("setsockopt", failure)
	}
	return err
}

// AwaitReadable waits until a connection has bytes, or its end, and takes none.
func AwaitReadable(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK)
		return err != unix.EAGAIN
	})
}

// Discard lets the kernel throw away what a TCP connection receives (recv with MSG_TRUNC), up to limit bytes, or all
// to its end if limit is negative, and returns how many there were.
func Discard(c *net.TCPConn, limit int64) (n int64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failure syscall.Errno
	err = raw.Read(func(fd uintptr) bool {
		for n != limit {
			most := int64(atOnce)
			if limit >= 0 {
				most = min(most, limit-n)
			}
			got, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, 0, uintptr(most), unix.MSG_TRUNC, 0, 0)
			switch {
			case errno == unix.EINTR:
			case errno == unix.EAGAIN:
				return false
			case errno != 0:
				failure = errno
				return true
			case got == 0:
				return true
			default:
				n += int64(got)
			}
		}
		return true
	})
	if err == nil && failure != 0 {
		err = failure
	}
	return n, err
}

// atOnce is how much the kernel is asked to discard at a time.
const atOnce = 512 << 10
