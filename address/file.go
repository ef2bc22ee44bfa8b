package address

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	return &partError{"folder " + quoted(dir), err}
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
	if !fi.Mode().IsRegular() {
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			e.Skip = at
		}
		return e, nil
	}
	if at > fi.Size() {
		return nil, &partError{fmt.Sprintf("offset %d", at), fmt.Errorf("the file has %d bytes", fi.Size())}
	}
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return nil, err
	}
	e.Size = fi.Size() - at
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
	e := endOf(nil, f, &fileEnding{file: f, sync: a.Options.Sync})
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
	return e, nil
}

// fileEnding ends what is a file of ours, or nothing but a descriptor.
type fileEnding struct {
	file *os.File
	sync bool
}

func (f *fileEnding) finish(context.Context) error {
	var err error
	if f.sync {
		if err = f.file.Sync(); err != nil {
			err = withOp("sync", errors.Unwrap(err))
		}
	}
	return errors.Join(err, f.close())
}

func (f *fileEnding) close() error {
	if err := f.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		_, cause := bare(err)
		return withOp("close", cause)
	}
	return nil
}

func (f *fileEnding) giveUp() error { return f.close() }

func (f *fileEnding) closeWrite() error { return f.close() }

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
