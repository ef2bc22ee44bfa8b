package machine

import (
	"time"

	"golang.org/x/sys/unix"
)

// ProcessCPU is the user and system time that this process has used.
func ProcessCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // only a bad address can fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Monotonic is the kernel's monotonic clock, which all processes share.
func Monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // only a bad clock can fail
	}
	return time.Duration(t.Nano())
}
