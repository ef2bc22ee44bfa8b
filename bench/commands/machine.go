package main

import (
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
)

// isTmpfs tells whether a directory's files are in memory.
func isTmpfs(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.TMPFS_MAGIC
}

// freeMemory is what programs can have without anything being swapped.
func freeMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	n, err := machine.BytesOf("MemAvailable", text)
	return int64(n), err
}

// fill makes a file of so many random bytes.
func fill(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 4<<20)
	for size > 0 {
		b = b[:min(int64(len(b)), size)]
		_, _ = r.Read(b) // never fails
		if _, err := f.Write(b); err != nil {
			return err
		}
		size -= int64(len(b))
	}
	return f.Close()
}
