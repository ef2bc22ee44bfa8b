package main

import (
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
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

// relayPattern sends the verified stream that s tells through r to its viewers, in this process, and returns what the
// viewers say of it. The recording is checked if there is one.
func relayPattern(t *testing.T, r relay, s runSpec) (drained, error) {
	t.Helper()
	s.Send, s.Drain = "pattern", "pattern"
	var d duty
	var sender *net.TCPConn
	d.src, sender = loopback(t)
	ends := make([]net.Conn, s.Viewers)
	for i := range ends {
		near, far := loopback(t)
		viewer := net.Conn(near)
		ends[i] = far
		if s.encrypted(i) {
			viewer, ends[i] = encrypt(t, near, far)
		}
		d.viewers = append(d.viewers, viewer)
	}
	if s.Record != "" {
		var err error
		if d.record, err = createRecording(s.Record); err != nil {
			t.Fatal(err)
		}
		defer d.record.Close()
	}
	failed := make(chan error, 2)
	go func() {
		var err error
		if s.Message > 0 {
			err = sendMessages(sender, s, true)
		} else {
			err = sendPattern(sender, s.Size)
		}
		sender.Close()
		failed <- err
	}()
	go func() { failed <- r(d) }()
	got, err := drainStreams(ends, s)
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if d.record != nil {
		err = errors.Join(err, checkRecording(d.record, s.Size, true))
	}
	return got, err
}

// encrypt puts both ends of a connection on TLS.
func encrypt(t *testing.T, near, far *net.TCPConn) (server, client net.Conn) {
	t.Helper()
	config, err := serverConfig()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		server, err = handshake(near, config, tls.Server)
		done <- err
	}()
	client, err = handshake(far, clientConfig(), tls.Client)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// withKind calls f in a subtest for each of the kinds.
func withKind(t *testing.T, names []string, f func(*testing.T, relay)) {
	t.Helper()
	for _, name := range names {
		r, err := findRelay(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) { f(t, r) })
	}
}

// everyKind is the kinds, without those that are bare unless asked for.
func everyKind(bare bool) []string {
	names := slices.Sorted(maps.Keys(kinds))
	if !bare {
		names = slices.DeleteFunc(names, isBare)
	}
	return names
}

// deliver has the stream relayed, and fails unless every viewer gets all of it.
func deliver(t *testing.T, r relay, s runSpec) {
	t.Helper()
	got, err := relayPattern(t, r, s)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(s.Viewers) * s.Size; got.Bytes != want {
		t.Fatalf("%d bytes delivered, want %d", got.Bytes, want)
	}
}

func TestEveryViewerOfEveryKindGetsEveryByteInOrder(t *testing.T) {
	names := append(everyKind(true), "raw/once", "raw/64k", "raw/4k", "raw/ahead=0", "raw/ahead=4",
		"rawpoll/64k", "rawpoll/ahead=0", "rawpoll/ahead=4")
	withKind(t, names, func(t *testing.T, r relay) {
		for _, n := range []int{1, 2, 5} {
			t.Run(strconv.Itoa(n), func(t *testing.T) { deliver(t, r, runSpec{Viewers: n, Size: 8<<20 + 5}) })
		}
	})
}

func TestMessagesArriveWhetherAtAPaceOrNot(t *testing.T) {
	withKind(t, everyKind(true), func(t *testing.T, r relay) {
		for _, pause := range []time.Duration{0, 100 * time.Microsecond} {
			t.Run(pause.String(), func(t *testing.T) {
				deliver(t, r, runSpec{Viewers: 3, Size: 500*1400 + 17, Message: 1400, Every: pause})
			})
		}
	})
}

func TestViewersOnTLSGetWhatTheOthersGet(t *testing.T) {
	withKind(t, everyKind(false), func(t *testing.T, r relay) {
		for _, share := range []int{1, 2} {
			t.Run(strconv.Itoa(share), func(t *testing.T) {
				deliver(t, r, runSpec{Viewers: 3, Size: 4<<20 + 5, TLS: share})
			})
		}
	})
}

func TestTheRecordingHasEveryByte(t *testing.T) {
	withKind(t, everyKind(false), func(t *testing.T, r relay) {
		deliver(t, r, runSpec{Viewers: 2, Size: 8<<20 + 5, Record: t.TempDir()})
	})
}

func TestARecordingThatLacksSomethingIsFound(t *testing.T) {
	f, err := createRecording(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1<<20)
	fillPattern(b, 0)
	b[777_777] ^= 1
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		size    int64
		pattern bool
		want    string
	}{
		"too short": {1<<20 + 1, false, "has 1048576 bytes instead of 1048577"},
		"damaged":   {1 << 20, true, "differs at offset 777777"},
	} {
		if err := checkRecording(f, c.size, c.pattern); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := checkRecording(f, 1<<20, false); err != nil {
		t.Error(err)
	}
}

func TestTheBareKindsRefuseWhatTheyCannotDo(t *testing.T) {
	withKind(t, []string{"raw", "rawpoll/64k"}, func(t *testing.T, r relay) {
		near, far := loopback(t)
		viewer, _ := encrypt(t, near, far)
		if err := r(duty{viewers: []net.Conn{viewer}}); !errors.Is(err, errBare) {
			t.Errorf("a viewer on TLS: %v", err)
		}
		if err := r(duty{viewers: []net.Conn{near}, record: new(os.File)}); !errors.Is(err, errBare) {
			t.Errorf("a recording: %v", err)
		}
	})
}

func TestRelayThatLosesAByteIsFound(t *testing.T) {
	lossy := func(d duty) error {
		src, viewers := d.src, d.viewers
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
	_, err := relayPattern(t, lossy, runSpec{Viewers: 1, Size: 1<<20 + 100})
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
