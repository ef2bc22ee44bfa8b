//go:build !linux

package penstock

import "os"

// mapFile reads: a view of the file as it is now.
func mapFile(f *os.File, off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := f.ReadAt(b, off)
	return b, err
}

func unmapFile([]byte) {}
