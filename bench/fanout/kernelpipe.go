package main

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A pipe is a bare pipe(2) of the raw relays.
type pipe struct{ r, w int }

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// newPipe makes a pipe of exactly size bytes, that is size/4096 slots.
func newPipe(size int) (pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return pipe{}, err
	}
	p := pipe{fds[0], fds[1]}
	got, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, size)
	if err == nil && got != size {
		err = fmt.Errorf("pipe of %d bytes instead of %d", got, size)
	}
	if err != nil {
		p.close()
		return pipe{}, err
	}
	return p, nil
}

func (p pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// splice moves up to n bytes; it returns EAGAIN when it would have to wait.
func splice(from, to int, n int64) (int64, error) {
	for {
		got, err := unix.Splice(from, nil, to, nil, int(n), spliceFlags)
		if err != unix.EINTR {
			return got, err
		}
	}
}

// teeRun duplicates the whole run of n bytes in the pipe from into the empty pipe to, which must have as many slots:
// a run cannot have more buffers than its pipe has slots, so a part of it is a fault.
func teeRun(from, to int, n int64) error {
	for {
		got, err := unix.Tee(from, to, int(n), unix.SPLICE_F_NONBLOCK)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("tee: %w", err)
		case got != n:
			return fmt.Errorf("tee of %d bytes took %d", n, got)
		default:
			return nil
		}
	}
}

// fillRun splices from the source into an empty pipe and returns the length of the run, which can be several times
// the pipe's size: a slot holds more than a page when the sender wrote more than a page at once. One splice ends
// after as many bytes as the free slots would hold pages, so fillRun goes on until the source is empty or the slots
// are taken; with once it does not.
//
// EAGAIN and io.EOF come only with a length of 0: the pipe was empty, so it is the source that has nothing.
func fillRun(source int, p pipe, size int, once bool) (n int64, err error) {
	for {
		got, err := splice(source, p.w, int64(size))
		if err == nil && got == 0 {
			err = io.EOF
		}
		if err != nil {
			if n > 0 && (err == unix.EAGAIN || err == io.EOF) {
				return n, nil
			}
			return n, err
		}
		n += got
		if once {
			return n, nil
		}
	}
}
