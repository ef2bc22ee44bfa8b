//go:build !linux

package address

import (
	"errors"
	"os"
)

// directFile is not to be had here.
type directFile struct{ *os.File }

func direct(*os.File, int64) (*directFile, error) {
	return nil, errors.New("is not to be had on this system")
}

func (d *directFile) seekBlock() error { return nil }
func (d *directFile) flush() error     { return nil }
