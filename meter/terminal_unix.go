//go:build unix

package meter

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminal is the screen of a file that is one.
type terminal struct{ raw syscall.RawConn }

// TerminalOf returns the terminal that a file is, or nil if it is none. It is of use as long as the file is open.
func TerminalOf(f *os.File) Screen {
	raw, err := f.SyscallConn() // Fd would make the file block
	if err != nil {
		return nil
	}
	t := &terminal{raw}
	if t.size() == nil {
		return nil
	}
	return t
}

// size returns nil for what is no terminal.
func (t *terminal) size() (size *unix.Winsize) {
	_ = t.raw.Control(func(fd uintptr) {
		if of, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil {
			size = of
		}
	})
	return size
}

func (t *terminal) Size() (columns, rows int) {
	if size := t.size(); size != nil {
		return int(size.Col), int(size.Row)
	}
	return 0, 0
}

// Foreground is false in the background of a shell that has this terminal.
func (t *terminal) Foreground() bool {
	group := 0
	err := os.ErrInvalid
	cerr := t.raw.Control(func(fd uintptr) { group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) })
	return cerr != nil || err != nil || group == unix.Getpgrp() // not the terminal that controls us: nobody else's
}
