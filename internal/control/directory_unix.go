//go:build unix

package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ours is nil if a directory belongs to us and to nobody else, whoever may have made what is in the way in a place
// where all may write.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	case !ok || int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s: %w", dir, ErrForeign)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s: others may use it: %v", dir, info.Mode())
	}
	return nil
}

func socketIn(dir string, pid int) string { return filepath.Join(dir, strconv.Itoa(pid)+".sock") }

// listenIn makes the directory if there is none, and the socket anew: one that has the id of this process is of an
// earlier one that was killed.
func listenIn(dir string, pid int) (*net.UnixListener, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := ours(dir); err != nil {
		return nil, err
	}
	name := socketIn(dir, pid)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"}) // removed when it is closed
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func dialIn(ctx context.Context, dir string, pid int) (*net.UnixConn, error) {
	if err := ours(dir); err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: socketIn(dir, pid), Net: "unix"})
}

// whyNot is why nobody answers for a process.
func whyNot(pid int) error {
	switch err := syscall.Kill(pid, 0); {
	case errors.Is(err, syscall.ESRCH):
		return ErrNoProcess
	case errors.Is(err, syscall.EPERM):
		return ErrForeign
	}
	return ErrNoCopy
}
