package kernel

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported tells whether this system has splice(2) and tee(2).
const Supported = true

// MaxTransfer bounds the length of one transfer: the kernel's MAX_RW_COUNT, which every call clips to.
const MaxTransfer = 0x7ffff000

// Pipe makes a pipe whose ends are non-blocking and close-on-exec, and asks for a capacity of size bytes. It returns
// the capacity that the kernel granted, which is what counts: an unprivileged user over
// /proc/sys/fs/pipe-user-pages-soft gets two slots (8 KiB) without being told, and growing is refused with EPERM.
func Pipe(size int) (r, w, granted int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, 0, err
	}
	r, w = fds[0], fds[1]
	granted, err = unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
	if err == nil && size > 0 && granted != size {
		// The kernel cuts the argument to 32 bits, and would grant a page for 1<<40.
		if n, serr := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, min(size, math.MaxInt32)); serr == nil {
			granted = n
		} // a refusal leaves the pipe as it is: granted says so
	}
	if err != nil {
		_ = unix.Close(r)
		_ = unix.Close(w)
		return -1, -1, 0, err
	}
	return r, w, granted, nil
}

// Splice moves up to n bytes from src to dst, one of which is a pipe, without waiting on the pipe's side
// (SPLICE_F_NONBLOCK); the other side obeys its own O_NONBLOCK. It returns 0 at the source's end of file.
//
// EAGAIN does not say which side would block. Callers make it unambiguous: they enter with an empty pipe when it is
// the destination, and with a filled one when it is the source.
func Splice(dst, src, n int) (int, error) {
	for {
		m, err := unix.Splice(src, nil, dst, nil, min(n, MaxTransfer), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if err == unix.EINTR {
			continue
		}
		return max(int(m), 0), err
	}
}

// SpliceSocket is Splice between a pipe and a socket, one of which is given once more. Go's scheduler is not told of what
// cannot wait and is over in a fraction of a millisecond, as with [RecvNow]: it would take the processor away, and have to
// give it back.
func SpliceSocket(dst, src, n, socket int) (int, error) {
	const atOnce = 1 << 20
	flags, _, err := unix.RawSyscall(unix.SYS_FCNTL, uintptr(socket), unix.F_GETFL, 0)
	if err != 0 || flags&unix.O_NONBLOCK == 0 || n > atOnce {
		return Splice(dst, src, n)
	}
	for {
		const how = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE
		m, _, err := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(src), 0, uintptr(dst), 0, uintptr(n), how)
		switch err {
		case 0:
			return int(m), nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

// Tee duplicates up to n bytes from the head of the pipe src to the pipe dst, consuming nothing. It always begins at
// the head and copies what fits; 0 is not an end of file (a race with another reader gives it too).
func Tee(dst, src, n int) (int, error) {
	for {
		m, err := unix.Tee(src, dst, min(n, MaxTransfer), unix.SPLICE_F_NONBLOCK)
		if err == unix.EINTR {
			continue
		}
		return max(int(m), 0), err
	}
}

// Buffered returns how many bytes the pipe of this descriptor holds (FIONREAD).
func Buffered(fd int) (int, error) {
	return unix.IoctlGetInt(fd, unix.TIOCINQ)
}

// Read is read(2).
func Read(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}

// Write is write(2).
func Write(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}

// ReadNow is a read of a pipe that does not wait, be its description one that blocks: RWF_NOWAIT. Where the kernel has
// no such thing (before 6.4, and for a pipe with a name as of 6.18: EOPNOTSUPP) it looks first, and then a read waits
// only if somebody else was faster.
func ReadNow(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Preadv2(fd, [][]byte{b}, -1, unix.RWF_NOWAIT)
		switch err {
		case unix.EINTR:
			continue
		case unix.EOPNOTSUPP, unix.ENOSYS, unix.EPERM, unix.EINVAL:
			if !Readable(fd) {
				return 0, unix.EAGAIN
			}
			return Read(fd, b)
		}
		return max(n, 0), err
	}
}

// WriteNow is a write to a pipe that does not wait, be its description one that blocks. Where the kernel has no
// RWF_NOWAIT it looks first, and writes no more than has room then, which is PIPE_BUF.
func WriteNow(fd int, views [][]byte) (int, error) {
	for {
		n, err := unix.Pwritev2(fd, views, -1, unix.RWF_NOWAIT)
		switch err {
		case unix.EINTR:
			continue
		case unix.EOPNOTSUPP, unix.ENOSYS, unix.EPERM, unix.EINVAL:
			if !Writable(fd) {
				return 0, unix.EAGAIN
			}
			return Writev(fd, upTo(views, pipeBuf))
		}
		return max(n, 0), err
	}
}

// pipeBuf is PIPE_BUF: what a writable pipe takes without waiting.
const pipeBuf = 4096

// upTo returns the first n bytes of views, without touching those.
func upTo(views [][]byte, n int) (some [][]byte) {
	for _, v := range views {
		if n == 0 {
			break
		}
		v = v[:min(len(v), n)]
		n -= len(v)
		some = append(some, v)
	}
	return some
}

// Size returns the capacity of a pipe in bytes, from either end.
func Size(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
}

// Resize asks for a capacity and returns the one that the pipe has then, also with an error: it is always read back.
func Resize(fd, size int) (int, error) {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size)
	granted, gerr := Size(fd)
	if err == nil {
		err = gerr
	}
	return granted, err
}

// MaxVector bounds the buffers of one Writev: the kernel's UIO_MAXIOV.
const MaxVector = 1024

// Readable only looks whether a read would not wait: there is something, or the end, or an error.
func Readable(fd int) bool { return look(fd, unix.POLLIN|unix.POLLRDHUP) != 0 }

// Writable only looks whether a write would not wait.
func Writable(fd int) bool { return look(fd, unix.POLLOUT) != 0 }

// Ended tells whether the read end of a pipe will never give anything again: it is empty, and has no writer. That it was
// empty a moment ago does not say so.
func Ended(fd int) bool { return look(fd, unix.POLLIN)&(unix.POLLIN|unix.POLLHUP) == unix.POLLHUP }

// Broken tells whether the write end of a pipe has no reader any more.
func Broken(fd int) bool { return look(fd, unix.POLLOUT)&unix.POLLERR != 0 }

// HungUp tells whether the read end of a pipe has no writer any more. There may be bytes still.
func HungUp(fd int) bool { return look(fd, unix.POLLIN)&unix.POLLHUP != 0 }

// Changes returns a descriptor that becomes readable each time that something is written to a pipe, also while there is
// something to be read: an epoll(7) instance that tells of edges. The caller closes it.
func Changes(fd int) (int, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		_ = unix.Close(ep)
		return -1, err
	}
	return ep, nil
}

// Seen makes what Changes returned wait for the next change.
func Seen(ep int) {
	var events [1]unix.EpollEvent
	for {
		if _, err := unix.EpollWait(ep, events[:], 0); err != unix.EINTR {
			return
		}
	}
}

// Finished tells whether a socket's peer has ended its stream, and all of that has been read. It takes nothing: not even
// a pending error, which a recv would, and which is told once.
func Finished(fd int) bool {
	if got := look(fd, unix.POLLRDHUP); got&unix.POLLRDHUP == 0 || got&unix.POLLERR != 0 {
		return false
	}
	n, err := Buffered(fd)
	return err == nil && n == 0
}

// look returns what poll(2) has to say now; what cannot be polled is ready.
func look(fd int, events int16) int16 {
	got, err := poll(fd, events, 0)
	if err != nil {
		return unix.POLLERR
	}
	return got
}

// poll retries EINTR, which Go's preemption signals give even a poll that only looks.
func poll(fd int, events int16, milliseconds int) (int16, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		_, err := unix.Poll(fds, milliseconds)
		if err != unix.EINTR {
			return fds[0].Revents, err
		}
	}
}

// Writev is writev(2). For up to 64 buffers it allocates nothing.
func Writev(fd int, iov [][]byte) (int, error) {
	for {
		n, err := writev(fd, iov)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}

// writev leaves what is many to a package that makes the kernel's list of them on the heap.
func writev(fd int, iov [][]byte) (int, error) {
	var vec [64]unix.Iovec
	if len(iov) > len(vec) {
		return unix.Writev(fd, iov)
	}
	n := 0
	for _, b := range iov {
		if len(b) > 0 {
			vec[n].Base = &b[0]
			vec[n].SetLen(len(b))
			n++
		}
	}
	r, _, errno := unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vec[0])), uintptr(n))
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// Dup returns another descriptor of the same description, close-on-exec, and none of the standard ones: what fails at
// those with EPIPE ends a Go process.
func Dup(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
}

// Close closes a descriptor. After EINTR Linux has closed it all the same, so it is not retried.
func Close(fd int) error {
	return unix.Close(fd)
}
