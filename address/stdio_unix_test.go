//go:build unix

package address_test

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	. "github.com/penstock-io/penstock/address"
)

func TestADescriptorIsOpenedByItsNumber(t *testing.T) {
	r, w := pipe(t)
	text := func(f *os.File) string { return "fd:" + strconv.Itoa(int(duplicate(t, f))) }
	fill(t, open(t, text(w), Destination, Config{}), []byte("seven b"))
	w.Close()
	same(t, drain(t, open(t, text(r), Source, Config{})), []byte("seven b"))
	fails(t, text(r), Destination, "is not open for writing")
	fails(t, "fd:99999", Source, "is not open")
}

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
