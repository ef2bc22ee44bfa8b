package kernel

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What goes through a socket in small pieces is bound by what surrounds the call. These do not wait, whatever the socket's
// description says, so Go's scheduler is not told of those that are short: who is told of a call after a quiet time wakes a
// thread to watch it, which costs more than the call.

// atOnce bounds the bytes of such a call: a few microseconds' worth.
const atOnce = 32 << 10

// RecvNow is recv(2) that does not wait.
func RecvNow(fd int, b []byte) (int, error) {
	return transfer(unix.SYS_RECVFROM, fd, b, unix.MSG_DONTWAIT)
}

// SendNow is send(2) that does not wait.
func SendNow(fd int, b []byte) (int, error) { return send(fd, b, unix.MSG_DONTWAIT) }

// SendMore is send(2) with MSG_MORE: what follows at once goes into the same packet. What does not follow is sent all the
// same, 200 ms later.
func SendMore(fd int, b []byte) (int, error) { return send(fd, b, unix.MSG_DONTWAIT|unix.MSG_MORE) }

func send(fd int, b []byte, flags int) (int, error) {
	return transfer(unix.SYS_SENDTO, fd, b, flags|unix.MSG_NOSIGNAL)
}

func transfer(call uintptr, fd int, b []byte, flags int) (int, error) {
	at := unsafe.Pointer(unsafe.SliceData(b))
	for {
		var n uintptr
		var err syscall.Errno
		if len(b) <= atOnce {
			n, _, err = syscall.RawSyscall6(call, uintptr(fd), uintptr(at), uintptr(len(b)), uintptr(flags), 0, 0)
		} else {
			n, _, err = syscall.Syscall6(call, uintptr(fd), uintptr(at), uintptr(len(b)), uintptr(flags), 0, 0)
		}
		switch err {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}
