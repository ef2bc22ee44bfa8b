package machine

import (
	"os"

	"golang.org/x/sys/unix"
)

// AllowDescriptors raises the limit of open descriptors to n if it may, else as far as it may, for this process and those
// that it starts, and returns what it is then.
func AllowDescriptors(n int) (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, os.NewSyscallError("getrlimit", err)
	}
	// The limit is set even where it does not change: Go's runtime has raised it at the start, and gives what a process
	// starts the old one unless it was set since.
	raised := unix.Rlimit{Cur: max(limit.Cur, uint64(n)), Max: max(limit.Max, uint64(n))}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
		return int(raised.Cur), nil
	}
	limit.Cur = limit.Max
	return int(limit.Max), os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
}
