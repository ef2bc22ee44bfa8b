package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// benchFiles is the two files of a bench: one that is read, and one that is written over and over. They have names only
// while they are being opened.
type benchFiles struct {
	dir        string // of their own
	full, over string
	opened     []*os.File
	say        func(format string, args ...any)
}

// make makes the files, of flags.size, or where there is no room for that of less, which is said.
func (f *benchFiles) make(flags *benchFlags, say func(format string, args ...any)) error {
	const least = 1 << 20
	f.say = say
	asked := flags.size
	free, known := freeSpace(flags.dir)
	for known && flags.size > least && int64(flags.size) > free/2 {
		flags.size /= 2
	}
	if flags.size < asked {
		say("only %s free in %s: the two files are of %s", bytesOf(int(free)), flags.dir, bytesOf(int(flags.size)))
	}
	var err error
	if f.dir, err = os.MkdirTemp(flags.dir, "penstock-bench-"); err != nil {
		return err
	}
	f.full, f.over = filepath.Join(f.dir, "full"), filepath.Join(f.dir, "over")
	return errors.Join(writeNoise(f.full, int(flags.size)), writeNoise(f.over, int(flags.size)))
}

// writeNoise fills a file with what no file system makes smaller.
func writeNoise(name string, n int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	block := make([]byte, min(n, 1<<20))
	_, _ = rand.Read(block) // never fails
	for ; n > 0 && err == nil; n -= len(block) {
		_, err = f.Write(block[:min(n, len(block))])
	}
	return errors.Join(err, f.Close())
}

// open opens a file anew, with a position of its own. It is closed with the others.
func (f *benchFiles) open(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err == nil {
		f.opened = append(f.opened, file)
	}
	return file, err
}

// unlink takes the files' names away: whatever ends the program ends them. Where that cannot be done close does it.
func (f *benchFiles) unlink() error {
	if f.dir == "" {
		return nil
	}
	err := os.RemoveAll(f.dir)
	if err == nil {
		f.dir = ""
	}
	return err
}

func (f *benchFiles) close() {
	for _, file := range f.opened {
		_ = file.Close() // what was written is not wanted
	}
	if err := f.unlink(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.say("left behind: %v", err)
	}
}
