//go:build unix

package address

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// usable tells what is wrong with a descriptor that somebody else opened.
func usable(f *os.File, writes bool) error {
	var flags int
	err := control(f, func(fd int) (err error) {
		flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		return err
	})
	switch mode := flags & unix.O_ACCMODE; {
	case errors.Is(err, unix.EBADF), errors.Is(err, os.ErrClosed):
		return errors.New("is not open")
	case err != nil:
		return err
	case writes && mode == unix.O_RDONLY:
		return errors.New("is not open for writing")
	case !writes && mode == unix.O_WRONLY:
		return errors.New("is not open for reading")
	}
	return nil
}

// shutdownWrite ends the writing to a socket, and tells whether it is one.
func shutdownWrite(f *os.File) bool {
	return control(f, func(fd int) error {
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != unix.ENOTCONN {
			return err
		}
		return nil // the peer is gone, and knows
	}) == nil
}

func control(f *os.File, do func(fd int) error) (err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = do(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
