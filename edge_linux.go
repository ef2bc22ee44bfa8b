package penstock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/internal/kernel"
	"github.com/penstock-io/penstock/internal/park"
)

// edge is a descriptor at an end of a transfer: what it is, how it is waited for, and whether it can be spliced. The
// zero edge is of what has none.
type edge struct {
	raw  syscall.RawConn
	what string // in words
	mode uint32 // S_IFSOCK and so on
	size int64  // of a file, when the transfer began

	polls    bool         // the runtime's poller waits for it, as far as is known
	datagram bool         // a socket, but no stream
	moved    bool         // splice has moved something here: its errors are errors
	refused  string       // why splice is no way here; empty as long as it may be one
	waiter   *park.Waiter // of a file that may wait: stands in where the runtime's poller cannot
	own      *os.File     // a description of our own in place of one that blocks
}

// of looks at v. A socket of package net is asked nothing: it is what it is.
func (e *edge) of(v any) {
	raw, what := descriptor(v)
	if raw == nil {
		return
	}
	switch v.(type) {
	case *net.TCPConn, *net.UnixConn:
		*e = edge{raw: raw, what: what, mode: unix.S_IFSOCK, polls: true}
		return
	}
	err := raw.Control(func(fd uintptr) { e.look(int(fd), what) })
	if err == nil { // else it is closed: its own Read or Write says so
		e.raw = raw
	}
}

func (e *edge) look(fd int, what string) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return
	}
	e.mode, e.size = st.Mode&unix.S_IFMT, st.Size
	switch e.mode {
	case unix.S_IFREG:
		e.what = "file"
	case unix.S_IFBLK:
		e.what = "block device"
	case unix.S_IFSOCK:
		e.what = socketKind(fd)
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		e.datagram = err == nil && kind != unix.SOCK_STREAM
	case unix.S_IFIFO:
		e.what = "FIFO"
	case unix.S_IFCHR:
		e.what = "device"
	default:
		e.what = what
	}
	if e.isFile() || e.mode == unix.S_IFCHR && neverWaits(st.Rdev) {
		return
	}
	e.waiter = new(park.Waiter)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	e.polls = err == nil && flags&unix.O_NONBLOCK != 0
}

// parks tells whether waiting for it takes a thread.
func (e *edge) parks() bool { return e.waiter != nil && !e.polls }

// unknown is for an error of the runtime's poller. It tells whether that does not wait for this one after all: a file is
// made known to it when it is opened, and another process that shares the description may have made it non-blocking
// since.
func (e *edge) unknown(err error) bool {
	if err == nil || !e.polls || e.waiter == nil || err.Error() != "waiting for unsupported file type" {
		return false
	}
	e.polls = false
	return true
}

// neverWaits tells the devices null, zero, full, random and urandom. (Linux: admin-guide/devices)
func neverWaits(dev uint64) bool {
	if unix.Major(dev) != 1 {
		return false
	}
	switch unix.Minor(dev) {
	case 3, 5, 7, 8, 9:
		return true
	default:
		return false // kmsg waits
	}
}

func socketKind(fd int) string {
	switch family, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); family {
	case unix.AF_INET, unix.AF_INET6:
		return "TCP socket"
	case unix.AF_UNIX:
		return "Unix socket"
	default:
		return "socket"
	}
}

func (e *edge) known() bool    { return e.raw != nil }
func (e *edge) isFile() bool   { return e.mode == unix.S_IFREG || e.mode == unix.S_IFBLK }
func (e *edge) isSocket() bool { return e.mode == unix.S_IFSOCK }
func (e *edge) isFIFO() bool   { return e.mode == unix.S_IFIFO }

// unblock opens a pipe or a terminal that blocks once more, for as long as the transfer lasts, so that the runtime's
// poller can wait for it, and a write that does not fit does not sleep where nothing ends it. Where that cannot be done
// it is waited for in a thread. A socket has no name to be opened by; but it can be asked not to wait, if it is not
// spliced into.
func (e *edge) unblock(sink bool) {
	if !e.parks() {
		return
	}
	if e.isSocket() {
		if sink {
			e.refused = "a socket that blocks is not spliced into"
		}
		return
	}
	_ = e.raw.Control(func(fd uintptr) { // closed meanwhile: its use says so
		own, err := kernel.OwnDescription(int(fd))
		if err != nil {
			return
		}
		f := os.NewFile(uintptr(own), e.what)
		raw, err := f.SyscallConn()
		if err != nil {
			f.Close()
			return
		}
		e.own, e.raw, e.polls = f, raw, true
	})
}

func (e *edge) close() {
	if e.own != nil {
		e.own.Close()
	}
}

// blocks tells whether a call on the descriptor may wait in the kernel, where nothing ends it, whatever its flags: so it
// is waited for before. A file's never does for long, and a FIFO's splice obeys its flag.
func (e *edge) blocks() bool { return e.parks() && !e.isFIFO() }

func (e *edge) interrupt() {
	if e.own != nil {
		_ = e.own.SetDeadline(past) // which it has, or it would not poll
	}
	if e.waiter != nil {
		e.waiter.Interrupt()
	}
}

func (e *edge) resume() {
	if e.own != nil {
		_ = e.own.SetDeadline(time.Time{})
	}
	if e.waiter != nil {
		e.waiter.Resume()
	}
}

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
	if e.waiter == nil {
		return nil
	}
	err := e.waiter.Wait(fd, events)
	if errors.Is(err, park.ErrInterrupted) {
		err = os.ErrDeadlineExceeded // as the runtime's poller has it
	}
	return err
}

// queued returns how many bytes a socket has taken and its peer has not. They may go on while a write waits: the kernel
// wakes a writer only when a third of the buffer is free, which is minutes of a slow peer's time.
func (e *edge) queued() (n int) {
	if e.isSocket() {
		_ = e.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }) // 0 if it does not say
	}
	return n
}

// atEnd tells whether a source has no more to give and never will have, without taking anything: so that a sink without
// room is not waited for in vain. It may not know.
func (e *edge) atEnd() (ended bool) {
	if !e.known() {
		return false
	}
	err := e.raw.Control(func(fd uintptr) { ended = e.ended(int(fd)) })
	return err == nil && ended
}

func (e *edge) ended(fd int) bool {
	switch {
	case e.isFIFO():
		return kernel.Ended(fd)
	case e.mode == unix.S_IFREG:
		var st unix.Stat_t
		at, err := unix.Seek(fd, 0, io.SeekCurrent)
		return err == nil && unix.Fstat(fd, &st) == nil && st.Size > 0 && at >= st.Size // those of /proc have none
	case e.isSocket():
		return kernel.Finished(fd)
	default:
		return false
	}
}

// fileWriter writes to a file by write(2). The file's own Write kills the process where that is its stdout and the
// reader has gone, and waits where nothing ends it.
type fileWriter struct {
	*os.File
	edge *edge
}

func (w *fileWriter) Write(b []byte) (done int, err error) {
	var werr error
	err = w.edge.raw.Write(func(fd uintptr) bool {
		for done < len(b) {
			var m int
			m, werr = w.edge.write(int(fd), b[done:])
			done += m
			if werr == syscall.EAGAIN {
				if w.edge.polls {
					werr = nil
					return false
				}
				continue
			}
			if werr != nil {
				break
			}
		}
		return true
	})
	if err == nil {
		err = werr
	}
	if err != nil {
		err = closedFile(w.File, err)
	}
	return done, err
}

// read reads once.
func (e *edge) read(fd int, b []byte) (int, error) {
	if e.isSocket() {
		return kernel.RecvNow(fd, b)
	}
	return kernel.Read(fd, b)
}

// splice splices once between a pipe and the edge's own descriptor, which is given once more.
func (e *edge) splice(dst, src, n, own int) (int, error) {
	if e.isSocket() {
		return kernel.SpliceSocket(dst, src, n, own)
	}
	return kernel.Splice(dst, src, n)
}

// write writes once, what can be written without being stuck there.
func (e *edge) write(fd int, b []byte) (int, error) {
	if e.parks() {
		if err := e.awaitWritable(fd); err != nil {
			return 0, err
		}
		b = b[:min(len(b), os.Getpagesize())] // what a pipe takes that can be written to at all
	}
	write := kernel.Write
	if e.isSocket() {
		write = kernel.SendNow
	}
	n, err := write(fd, b)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.ErrShortWrite
	}
	return n, err
}
