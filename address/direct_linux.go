package address

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a file past the page cache is read and written in. Blocks of 4 KiB suit every disk; O_DIRECT wants memory,
// offset and length to be whole ones. (open(2))
const (
	directBlock  = 4 << 10
	directBuffer = 1 << 20
)

// directFile is a file with O_DIRECT, but for what is not a whole block.
type directFile struct {
	file   *os.File
	memory []byte // begins on a block, as the heap does not move

	at     int64 // where the file stands
	direct bool

	unread []byte // of a reader: what of memory has been read and not given
	held   int    // of a writer: how much of memory has been taken and not written, less than a block
}

// direct goes past the page cache from at on.
func direct(f *os.File, at int64) (*directFile, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() && fi.Mode()&(fs.ModeDevice|fs.ModeCharDevice) != fs.ModeDevice {
		return nil, errors.New("is for files and disks")
	}
	d := &directFile{file: f, at: at}
	if err := d.turn(true); err != nil {
		if err == unix.EINVAL {
			err = errors.New("the file system has no direct I/O")
		}
		return nil, err
	}
	d.memory = wholeBlocks()
	return d, nil
}

// wholeBlocks is memory of the heap's: a Read that was left behind may outlive the file.
func wholeBlocks() []byte {
	b := make([]byte, directBuffer+directBlock)
	into := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % directBlock)
	if into == 0 {
		return b[:directBuffer]
	}
	return b[directBlock-into:][:directBuffer]
}

// turn turns O_DIRECT on or off.
func (d *directFile) turn(on bool) error {
	if d.direct == on {
		return nil
	}
	err := control(d.file, func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			return err
		}
		flags &^= unix.O_DIRECT
		if on {
			flags |= unix.O_DIRECT
		}
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
		return err
	})
	if err == nil {
		d.direct = on
	}
	return err
}

// Read reads whole blocks, until one is not: that is the end of the file, and the place behind it is in no block.
func (d *directFile) Read(b []byte) (int, error) {
	for len(d.unread) == 0 {
		into := d.at % directBlock
		if into != 0 && d.direct {
			if err := d.turn(false); err != nil {
				return 0, err
			}
		}
		n, err := d.file.Read(d.memory)
		if err != nil {
			return 0, err
		}
		d.at += int64(n)
		d.unread = d.memory[:n]
	}
	n := copy(b, d.unread)
	d.unread = d.unread[n:]
	return n, nil
}

// seekBlock moves a reader to the block that its place is in, and drops what is before that.
func (d *directFile) seekBlock() error {
	drop := d.at % directBlock
	if drop == 0 {
		return nil
	}
	var err error
	if d.at, err = d.file.Seek(-drop, io.SeekCurrent); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, d, drop)
	return err
}

// Write writes whole blocks, and holds what does not fill one; what comes before the first goes the other way.
func (d *directFile) Write(b []byte) (taken int, err error) {
	for taken < len(b) {
		rest := b[taken:]
		if into := d.at % directBlock; into != 0 {
			n, err := d.plain(rest[:min(len(rest), int(directBlock-into))])
			if taken += n; err != nil {
				return taken, err
			}
			continue
		}
		n := copy(d.memory[d.held:], rest)
		all := d.held + n
		if whole := all &^ (directBlock - 1); whole > 0 {
			written, err := d.blocks(whole)
			if err != nil {
				own := max(written-d.held, 0) // of b
				d.held = copy(d.memory, d.memory[min(written, d.held):d.held])
				return taken + own, err
			}
			all = copy(d.memory, d.memory[whole:all])
		}
		d.held = all
		taken += n
	}
	return taken, nil
}

// blocks writes the first n bytes of memory.
func (d *directFile) blocks(n int) (int, error) {
	if err := d.turn(true); err != nil {
		return 0, err
	}
	written, err := d.file.Write(d.memory[:n])
	d.at += int64(written)
	return written, err
}

// plain writes through the page cache.
func (d *directFile) plain(b []byte) (int, error) {
	if err := d.turn(false); err != nil {
		return 0, err
	}
	n, err := d.file.Write(b)
	d.at += int64(n)
	return n, err
}

// flush writes what is held.
func (d *directFile) flush() error {
	if d.held == 0 {
		return nil
	}
	_, err := d.plain(d.memory[:d.held])
	d.held = 0
	return err
}
