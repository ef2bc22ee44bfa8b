package main

import (
	"io"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The ends of round trips and of short connections wait in the kernel, on threads of their own, not in Go's poller:
// what that takes would be in every figure, and make the relays more alike than they are.

// blocking gives f a descriptor of a connection whose reads and writes wait, and the thread for itself.
func blocking(c *net.TCPConn, f func(fd int) error) error {
	file, err := c.File()
	if err != nil {
		return err
	}
	defer file.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return f(int(file.Fd())) // which makes it wait
}

// readFull fills b, or returns io.EOF if there is nothing at all, or io.ErrUnexpectedEOF.
func readFull(fd int, b []byte) error {
	for have := 0; have < len(b); {
		n, err := unix.Read(fd, b[have:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0 && have == 0:
			return io.EOF
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			have += n
		}
	}
	return nil
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		} else if err != nil {
			return os.NewSyscallError("write", err)
		}
		b = b[n:]
	}
	return nil
}
