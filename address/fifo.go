//go:build unix

package address

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// openFIFO opens a FIFO when there is somebody at its other end. An open(2) that waited for that could not be ended, so
// none does: a reader opens it at once, and then waits for a writer's first byte, or its end; a writer tries until
// there is a reader. (fifo(7))
func (a *Address) openFIFO(ctx context.Context, role Role, c *Config) (*End, error) {
	if err := a.makeFIFO(); err != nil {
		return nil, err
	}
	open := a.openFIFOReader
	if role == Destination {
		open = a.openFIFOWriter
	}
	f, err := bounded(ctx, a.Options.Timeout, open)
	if err != nil {
		return nil, err
	}
	e := endOf(f, f, &fileEnding{file: f})
	e.Skip = c.Offset + a.Options.Offset
	return e, nil
}

// makeFIFO makes it if ?create says so, and tells what else there may be.
func (a *Address) makeFIFO() error {
	fi, err := os.Stat(a.Path)
	switch {
	case err == nil && fi.IsDir():
		return errors.New("is a directory")
	case err == nil && fi.Mode()&fs.ModeNamedPipe == 0:
		return errors.New("is no FIFO")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case !a.Options.Create:
		return whereItEnds(a.Path, err)
	}
	mode := a.Options.Mode
	if mode == 0 {
		mode = 0o666
	}
	if err := unix.Mkfifo(a.Path, mode); err != nil && err != unix.EEXIST {
		return withOp("mkfifo", err)
	}
	return nil
}

// How often a FIFO is looked at that nothing waits for.
const (
	firstLook = 2 * time.Millisecond
	lastLook  = 50 * time.Millisecond
)

func (a *Address) openFIFOReader(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(a.Path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := awaitWriter(ctx, f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lookForWriter waits for the first writer by looking again and again.
func lookForWriter(ctx context.Context, f *os.File) error {
	return again(ctx, func() (bool, error) {
		var there bool
		err := control(f, func(fd int) (err error) {
			there, err = hasWriter(fd)
			return err
		})
		return there, err
	})
}

// hasWriter tells whether somebody has written, or come and gone. Of a FIFO that nobody has opened for writing since,
// poll(2) says nothing.
func hasWriter(fd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return n > 0, err
		}
	}
}

func (a *Address) openFIFOWriter(ctx context.Context) (f *os.File, err error) {
	return f, again(ctx, func() (bool, error) {
		f, err = os.OpenFile(a.Path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if errors.Is(err, unix.ENXIO) {
			return false, nil // no reader
		}
		return true, err
	})
}

// again calls try until it says that it is done, or ctx is.
func again(ctx context.Context, try func() (done bool, err error)) error {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		if done, err := try(); done || err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}
