package address

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// leftover looks into a pipe after its writer has closed it, and its reader is gone.
type leftover struct{ pipe *os.File }

// stillUnread is for before the writer closes. It makes another read end of the pipe, which keeps what is in it.
func (k *commandEnding) stillUnread() (l leftover) {
	if k.in == nil {
		return l
	}
	_ = control(k.in, func(fd int) (err error) {
		l.pipe, err = os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), os.O_RDONLY|unix.O_NONBLOCK, 0)
		return err
	})
	return l
}

// bytes returns how many nobody has read; 0 also where there is no telling.
func (l leftover) bytes() (n int) {
	if l.pipe == nil {
		return 0
	}
	_ = control(l.pipe, func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.TIOCINQ)
		return err
	})
	return n
}

func (l leftover) close() {
	if l.pipe != nil {
		l.pipe.Close()
	}
}
