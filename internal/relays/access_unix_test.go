//go:build unix

package relays

import (
	"bytes"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAFIFOThatNobodyReadsIsNoAccessLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAccessLog(quiet(), new(bytes.Buffer))
	defer a.close()
	if _, err := a.open(Access{File: path}); err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("opening it: %v", err)
	}
}
