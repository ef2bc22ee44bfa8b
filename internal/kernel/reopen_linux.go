package kernel

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// OwnDescription opens what a descriptor stands for once more, so that it does not block, and no flag of the description
// that others share is changed. That can be done with a pipe that has no name, and with a terminal; opening anything else
// again might do something. EINVAL is for that.
func OwnDescription(fd int) (int, error) {
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil && !anonymous(fd) {
		return -1, unix.EINVAL
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return -1, err
	}
	if flags&unix.O_DIRECT != 0 { // a pipe of packets: open(2) makes none
		return -1, unix.EINVAL
	}
	mode := flags&unix.O_ACCMODE | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), mode, 0)
}
