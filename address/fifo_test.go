//go:build unix

package address_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	. "github.com/penstock-io/penstock/address"
)

func TestAFIFOIsOpenedWhenBothAreThere(t *testing.T) {
	want := stream()
	path := filepath.Join(t.TempDir(), "p")
	got := make(chan []byte, 1)
	defer meanwhile(func() {
		e := open(t, "fifo:"+path+"?create&mode=0600", Source, Config{Offset: 2})
		if _, ok := e.Reader.(*os.File); !ok || e.Skip != 2 {
			t.Errorf("%T, %d bytes to be skipped", e.Reader, e.Skip)
		}
		got <- drain(t, e)
	})()
	fill(t, open(t, "fifo:"+path+"?create", Destination, Config{}), want)
	same(t, <-got, want)
}

func TestAPlainPathMayBeAFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	defer meanwhile(func() { // as cat does it: an open that waits
		if err := os.WriteFile(path, []byte("from a blocking writer"), 0); err != nil {
			t.Error(err)
		}
	})()
	same(t, drain(t, open(t, path, Source, Config{})), []byte("from a blocking writer"))
	got := make(chan []byte, 1)
	defer meanwhile(func() { got <- read(t, path) })()
	fill(t, open(t, path, Destination, Config{}), []byte("to a blocking reader"))
	same(t, <-got, []byte("to a blocking reader"))
}

func TestAWriterWhoSaysNothingIsTheEndOfAFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	defer meanwhile(func() {
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err != nil {
			t.Error(err)
		} else {
			f.Close()
		}
	})()
	same(t, drain(t, open(t, path, Source, Config{})), nil)
}

func TestAFIFOWithoutAPeerIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, role := range []Role{Source, Destination} {
		fails(t, "fifo:"+path+"?timeout=50ms", role, "timed out after 50ms")
		isCut(t, "fifo:"+path, role)
		isCut(t, path, role)
	}
	fails(t, "fifo:"+path+"x", Source, "no such file or directory")
	fails(t, "fifo:"+write(t, "x", nil), Source, "is no FIFO")
	fails(t, "fifo:"+t.TempDir(), Destination, "is a directory")
}
