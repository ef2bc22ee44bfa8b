package penstock

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/internal/kernel"
	"github.com/penstock-io/penstock/internal/park"
)

// edge is a descriptor at an end of a transfer: what it is, how it is waited for, and whether it can be spliced.
type edge struct {
	raw  syscall.RawConn
	what string // in words
	mode uint32 // S_IFSOCK and so on

	polls   bool        // the runtime's poller waits for it
	waiter  park.Waiter // and this where that cannot
	moved   bool        // splice has moved something here: its errors are errors
	refused string      // why splice is no way here; empty as long as it may be one
}

// edgeOf returns the edge of what is a bare descriptor, nil for anything else.
func edgeOf(v any) *edge {
	raw, what := descriptor(v)
	if raw == nil {
		return nil
	}
	e := &edge{raw: raw, what: what}
	var st unix.Stat_t
	err := raw.Control(func(fd uintptr) {
		e.polls = kernel.Pollable(int(fd))
		if unix.Fstat(int(fd), &st) == nil {
			e.mode = st.Mode & unix.S_IFMT
		}
	})
	if err != nil {
		return nil // closed: its own Read or Write says so
	}
	switch e.mode {
	case unix.S_IFSOCK:
		e.what = socketKind(raw)
	case unix.S_IFIFO:
		e.what = "FIFO"
	case unix.S_IFCHR:
		e.what = "device"
	case unix.S_IFBLK:
		e.what = "block device"
	}
	return e
}

func socketKind(raw syscall.RawConn) (what string) {
	what = "socket"
	_ = raw.Control(func(fd uintptr) { // if it is closed now, its use says so
		switch family, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN); family {
		case unix.AF_INET, unix.AF_INET6:
			what = "TCP socket"
		case unix.AF_UNIX:
			what = "Unix socket"
		}
	})
	return what
}

func (e *edge) isFile() bool   { return e.mode == unix.S_IFREG || e.mode == unix.S_IFBLK }
func (e *edge) isSocket() bool { return e.mode == unix.S_IFSOCK }
func (e *edge) isFIFO() bool   { return e.mode == unix.S_IFIFO }

// blocks tells whether a call on the descriptor may wait in the kernel, where nothing ends it, whatever its flags: so it is
// waited for before. A file's never does for long, and a FIFO's splice obeys its flag.
func (e *edge) blocks() bool { return !e.polls && !e.isFile() && !e.isFIFO() }

func (e *edge) interrupt() { e.waiter.Interrupt() }
func (e *edge) resume()    { e.waiter.Resume() }

// refuse takes an error that may mean that splice is no way here, and tells whether it does. It does not once splice has
// moved something.
func (e *edge) refuse(err error) bool {
	if e.moved || !refusal(err) {
		return false
	}
	e.refused = fmt.Sprintf("%s refused splice: %v", e.what, err)
	return true
}

// awaitReadable waits for a descriptor that the runtime's poller does not know, in a thread of its own.
func (e *edge) awaitReadable(fd int) error { return e.await(fd, park.Readable) }

// awaitWritable waits until a page can be written.
func (e *edge) awaitWritable(fd int) error { return e.await(fd, park.Writable) }

func (e *edge) await(fd int, events park.Events) error {
	if e.isFile() {
		return nil
	}
	err := e.waiter.Wait(fd, events)
	if errors.Is(err, park.ErrInterrupted) {
		err = os.ErrDeadlineExceeded // as the runtime's poller has it
	}
	return err
}

// isDatagram tells whether a file is a socket, but no stream.
func isDatagram(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false // closed: its own Read or Write says so
	}
	var kind int
	var kerr error
	err = raw.Control(func(fd uintptr) {
		kind, kerr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
	})
	return err == nil && kerr == nil && kind != unix.SOCK_STREAM
}
