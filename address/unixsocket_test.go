//go:build unix

package address_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	. "github.com/penstock-io/penstock/address"
)

func TestASocketThatNobodyListensToIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	fails(t, "unix:"+path, Destination, "connect: connection refused")
	l := listen(t, "unix-listen:"+path+"?mode=0600", Source, Config{})
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
	fails(t, "unix-listen:"+path, Source, "somebody listens there already")
	// Whoever listens has not noticed: the next connection is the first.
	e := open(t, "unix:"+path, Destination, Config{})
	defer meanwhile(func() { fill(t, e, []byte("hello")) })()
	same(t, drain(t, accept(t, l)), []byte("hello"))
	l.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the socket is not removed: ", err)
	}
}

func TestAFileInTheWayOfASocketStays(t *testing.T) {
	path := write(t, "s", []byte("precious"))
	fails(t, "unix-listen:"+path, Source, "is there already, and is no socket")
	same(t, read(t, path), []byte("precious"))
	fails(t, "unix:"+path, Source, "connect: connection refused")
}

func TestASocketIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listen(t, "unix-listen:"+path, Source, Config{})
	fails(t, path, Source, "is a socket: want unix:PATH")
}
