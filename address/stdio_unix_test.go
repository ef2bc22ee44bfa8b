//go:build unix

package address_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// duplicate returns a descriptor that is nobody's, as one that the process was started with.
func duplicate(t *testing.T, f *os.File) (fd uintptr) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	cerr := raw.Control(func(fd uintptr) { n, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	return uintptr(n)
}
