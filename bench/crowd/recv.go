package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recv is recv(2) on a socket that does not block, without a word to Go's scheduler. Into no buffer it takes most bytes
// at most, which only MSG_TRUNC allows.
func recv(fd int, b []byte, most, flags int) (int, syscall.Errno) {
	var at *byte
	if len(b) > 0 {
		at = &b[0]
		most = min(most, len(b))
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(at)), uintptr(most),
		uintptr(flags), 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}
