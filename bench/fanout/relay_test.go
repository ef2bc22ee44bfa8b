package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
)

// loopback returns the two ends of a connection.
func loopback(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if near, err = accept(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return near, c.(*net.TCPConn)
}

// relayPattern sends the verified stream of size bytes through r to n viewers, in this process, and returns what the
// viewers say of it.
func relayPattern(t *testing.T, r relay, n int, size int64) (drained, error) {
	t.Helper()
	src, sender := loopback(t)
	viewers, ends := make([]*net.TCPConn, n), make([]*net.TCPConn, n)
	for i := range n {
		viewers[i], ends[i] = loopback(t)
	}
	failed := make(chan error, 2)
	go func() {
		err := sendPattern(sender, size)
		sender.Close()
		failed <- err
	}()
	go func() { failed <- r(src, viewers) }()
	got, err := drainStreams(ends, "pattern")
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	return got, err
}

func TestEveryViewerOfEveryKindGetsEveryByteInOrder(t *testing.T) {
	names := slices.Collect(maps.Keys(kinds))
	names = append(names, "raw/once", "raw/64k", "raw/4k", "raw/ahead=0", "raw/ahead=4", "rawpoll/64k", "rawpoll/ahead=0", "rawpoll/ahead=4")
	for _, name := range names {
		r, err := findRelay(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(name, "/", "-"), n), func(t *testing.T) {
				const size = 8<<20 + 5
				got, err := relayPattern(t, r, n, size)
				if err != nil {
					t.Fatal(err)
				}
				if want := int64(n) * size; got.Bytes != want {
					t.Fatalf("%d bytes delivered, want %d", got.Bytes, want)
				}
			})
		}
	}
}

func TestRelayThatLosesAByteIsFound(t *testing.T) {
	lossy := func(src *net.TCPConn, viewers []*net.TCPConn) error {
		if _, err := io.CopyN(viewers[0], src, 1<<20+8); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, src, 1); err != nil {
			return err
		}
		if _, err := io.Copy(viewers[0], src); err != nil {
			return err
		}
		return closeAll(viewers)
	}
	// The viewer hangs up at the mismatch only when the test ends, so the stream must fit in the sockets' buffers.
	_, err := relayPattern(t, lossy, 1, 1<<20+100)
	if err == nil || !strings.Contains(err.Error(), "differs at offset 1048584") {
		t.Fatalf("a relay that lost the byte at 1048584: %v", err)
	}
}

func TestUnknownKindsAndOptionsAreRefused(t *testing.T) {
	for _, name := range []string{"", "rawer", "raw/", "raw/12", "raw/ahead=x", "channel/64k"} {
		if _, err := findRelay(name); err == nil {
			t.Errorf("%q: not refused", name)
		}
	}
}
