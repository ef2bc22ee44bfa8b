package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// grow makes the pipe that an end is as large as those that bulk goes through. A pipe between two processes has 64 KiB, and
// costs both of them a wait for every 64 KiB: with 1 MiB a pipeline has been seen to take a third of the CPU. One that is
// larger stays so, and where the kernel has nothing to give (EPERM: this user's pipes are used up) it stays as it is.
func grow(end any, size int) {
	f, ok := end.(*os.File)
	if !ok {
		return
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		now, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		if err == nil && now < size { // else it is no pipe, or large enough
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size)
		}
	})
}
