package address

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// openFile opens a file, a device, or what turns out to be a FIFO.
func (a *Address) openFile(ctx context.Context, role Role, c *Config) (*End, error) {
	fi, err := os.Stat(a.Path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil && role == Source:
		return nil, whereItEnds(a.Path, err)
	case err != nil:
		return a.openDestination(c, nil)
	case fi.IsDir():
		return nil, errors.New("is a directory")
	case fi.Mode()&fs.ModeSocket != 0:
		return nil, errors.New("is a socket: want unix:PATH")
	case fi.Mode()&fs.ModeNamedPipe != 0:
		return a.openFIFO(ctx, role, c)
	case role == Source:
		return a.openSource(c, fi)
	default:
		return a.openDestination(c, fi)
	}
}

// whereItEnds says of a path that is not there which folder is missing, if one is.
func whereItEnds(path string, err error) error {
	dir := filepath.Dir(path)
	if _, missing := os.Stat(dir); missing == nil || !errors.Is(missing, fs.ErrNotExist) {
		return err
	}
	return &partError{"folder " + strconv.Quote(dir), err}
}

func (a *Address) openSource(c *Config, fi fs.FileInfo) (*End, error) {
	f, err := os.Open(a.Path)
	if err != nil {
		return nil, err
	}
	end, err := a.sourceFrom(f, c, fi)
	if err != nil {
		f.Close()
	}
	return end, err
}

func (a *Address) sourceFrom(f *os.File, c *Config, fi fs.FileInfo) (*End, error) {
	e := endOf(f, nil, &fileEnding{file: f})
	at := a.Options.Offset + c.Offset
	size := int64(-1)
	switch mode := fi.Mode(); {
	case mode.IsRegular():
		size = fi.Size()
	case mode&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice: // a disk, which has its size at its end
		if n, err := f.Seek(0, io.SeekEnd); err == nil {
			size = n
		}
	}
	if size >= 0 && at > size {
		return nil, &partError{fmt.Sprintf("offset %d", at), fmt.Errorf("there are %d bytes", size)}
	}
	switch _, err := f.Seek(at, io.SeekStart); {
	case err == nil && size >= 0:
		e.Size = size - at
	case size >= 0:
		return nil, err
	default:
		e.Skip = at // a device that has no places: whether it says so or not
	}
	if a.Options.Direct {
		d, err := direct(f, at)
		if err == nil {
			err = d.seekBlock()
		}
		if err != nil {
			return nil, &partError{`option "direct"`, err}
		}
		e.Reader = d
	}
	return e, nil
}

// openDestination opens a file to be written. fi is nil if it is not there.
func (a *Address) openDestination(c *Config, fi fs.FileInfo) (*End, error) {
	o := &a.Options
	flags := os.O_WRONLY | os.O_CREATE
	if fi != nil && !fi.Mode().IsRegular() {
		flags = os.O_WRONLY // a device
	}
	switch {
	case o.Append:
		flags |= os.O_APPEND
	case o.Offset == 0 && !c.Resume && flags&os.O_CREATE != 0:
		flags |= os.O_TRUNC
	}
	if o.Excl {
		flags |= os.O_CREATE | os.O_EXCL
	}
	mode := fs.FileMode(0o666)
	if o.Mode != 0 {
		mode = fs.FileMode(o.Mode)
	}
	f, err := os.OpenFile(a.Path, flags, mode)
	if err != nil {
		return nil, whereItEnds(a.Path, err)
	}
	end, err := a.destinationTo(f, c)
	if err != nil {
		f.Close()
	}
	return end, err
}

func (a *Address) destinationTo(f *os.File, c *Config) (*End, error) {
	how := &fileEnding{file: f, sync: a.Options.Sync}
	e := endOf(nil, f, how)
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	at := a.Options.Offset
	if c.Resume && fi.Mode().IsRegular() {
		e.Offset = max(fi.Size()-at, 0)
		at += e.Offset
	}
	if at > 0 {
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return nil, &partError{fmt.Sprintf("offset %d", at), err}
		}
	}
	if a.Options.Direct {
		if a.Options.Append {
			at = fi.Size()
		}
		d, err := direct(f, at)
		if err != nil {
			return nil, &partError{`option "direct"`, err}
		}
		e.Writer, how.flush = d, d.flush
	}
	return e, nil
}

// fileEnding ends what is a file of ours, or nothing but a descriptor.
type fileEnding struct {
	file  *os.File
	sync  bool
	flush func() error // writes what was taken and is not in the file yet; nil if there is no such thing
}

func (f *fileEnding) finish(context.Context) error {
	err := f.flushed()
	if err == nil && f.sync {
		if err = f.file.Sync(); err != nil {
			_, cause := bare(err)
			err = withOp("sync", cause)
		}
	}
	return firstOf(err, f.close())
}

func (f *fileEnding) flushed() error {
	if f.flush == nil {
		return nil
	}
	if err := f.flush(); err != nil {
		_, cause := bare(err)
		return withOp("write", cause)
	}
	return nil
}

func (f *fileEnding) close() error {
	if err := f.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		_, cause := bare(err)
		return withOp("close", cause)
	}
	return nil
}

func (f *fileEnding) giveUp() error { return firstOf(f.flushed(), f.close()) }

func (f *fileEnding) closeWrite() error { return f.giveUp() }

// openNull opens the device that is always empty, and takes everything.
func openNull(role Role) (*End, error) {
	flags := map[Role]int{Source: os.O_RDONLY, Destination: os.O_WRONLY, Both: os.O_RDWR}[role]
	f, err := os.OpenFile(os.DevNull, flags, 0)
	if err != nil {
		return nil, err
	}
	e := endOf(f, f, &nullEnding{fileEnding{file: f}})
	e.Size = 0
	return e, nil
}

// nullEnding has nobody to be told of an end of writing.
type nullEnding struct{ fileEnding }

func (n *nullEnding) closeWrite() error { return nil }
