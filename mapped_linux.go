package penstock

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, off int64, n int) (data []byte, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(fd uintptr) {
		data, err = unix.Mmap(int(fd), off, n, unix.PROT_READ, unix.MAP_SHARED)
	})
	if cerr != nil {
		return nil, cerr
	}
	return data, err
}

func unmapFile(b []byte) {
	_ = unix.Munmap(b) // fails only for what is no mapping
}
