package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/penstock-io/penstock/bench/internal/program"
)

// workplace is where programs and their files are.
type workplace struct {
	dir   string
	built map[string]string // programs by what a kind calls them
}

// newWorkplace builds what is to be built: penstock only if no program is given.
func newWorkplace(given string) (*workplace, error) {
	dir, err := os.MkdirTemp("", "penstock-relays-")
	if err != nil {
		return nil, err
	}
	penstock, err := program.Penstock(dir, given)
	iocopy, ierr := program.Build(dir, "relay/iocopy")
	// nginx's workers are not who started it.
	if err := errors.Join(err, ierr, os.Chmod(dir, 0o755)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &workplace{dir, map[string]string{builtPenstock: penstock, builtIOCopy: iocopy}}, nil
}

// write writes a relay's configuration.
func (w *workplace) write(name, text string) (string, error) {
	path := filepath.Join(w.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

func (w *workplace) remove() { os.RemoveAll(w.dir) } // what is left is in a directory for that
