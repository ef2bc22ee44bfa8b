package kernel

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// PipeID tells one pipe from another.
type PipeID struct{ dev, ino uint64 }

// OwnEnd returns another descriptor of the read end of a pipe, or of the write end, and tells whether it shares the
// description of fd: then reads and writes of it block whenever somebody wants them to. No flag of that is changed.
// EINVAL is for what is no pipe, EBADF for the wrong end.
//
// A pipe is opened anew, with a description that does not block and that nobody else can make block later on. Not so a
// pipe with a name: poll(2) does not tell that such a pipe has hung up, if that was before it was opened (fifo_open,
// "can't check for POLLHUP until we've seen a writer").
func OwnEnd(fd int, out bool) (own int, shared bool, id PipeID, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, false, id, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return -1, false, id, unix.EINVAL
	}
	id = PipeID{uint64(st.Dev), st.Ino}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return -1, false, id, err
	}
	mode := unix.O_RDONLY
	if out {
		mode = unix.O_WRONLY
	}
	if access := flags & unix.O_ACCMODE; access != mode && access != unix.O_RDWR || flags&unix.O_PATH != 0 {
		return -1, false, id, unix.EBADF
	}
	if anonymous(fd) {
		if own, err := reopen(fd, mode, flags&unix.O_DIRECT|unix.O_NONBLOCK); err == nil {
			return own, false, id, nil
		}
	}
	own, err = Dup(fd)
	return own, true, id, err
}

// BlockingEnd returns a descriptor of an end that blocks, with a description of its own.
func BlockingEnd(fd int, out bool) (int, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return -1, err
	}
	mode := unix.O_RDONLY
	if out {
		mode = unix.O_WRONLY
	}
	return reopen(fd, mode, flags&unix.O_DIRECT)
}

// anonymous tells whether a pipe has no name.
func anonymous(fd int) bool {
	var fs unix.Statfs_t
	for {
		err := unix.Fstatfs(fd, &fs)
		if err != unix.EINTR {
			return err == nil && fs.Type == unix.PIPEFS_MAGIC
		}
	}
}

// reopen opens the pipe of a descriptor once more, and gives the description these flags. It never waits: an open of a
// pipe with a name would, for its other end.
func reopen(fd, mode, flags int) (int, error) {
	name := "/proc/self/fd/" + strconv.Itoa(fd)
	own, err := unix.Open(name, mode|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if flags != unix.O_NONBLOCK { // open(2) refuses O_DIRECT for a pipe
		if _, err := unix.FcntlInt(uintptr(own), unix.F_SETFL, flags); err != nil {
			_ = unix.Close(own)
			return -1, err
		}
	}
	if own > 2 {
		return own, nil
	}
	moved, err := Dup(own) // one of the standard ones was closed, and is to stay so
	_ = unix.Close(own)
	return moved, err
}
