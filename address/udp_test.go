package address_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	. "github.com/penstock-io/penstock/address"
)

// receiver is a socket that takes what is sent to it one datagram at a time.
func receiver(t *testing.T) (conn net.PacketConn, next func() []byte) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	return conn, func() []byte {
		b := make([]byte, 65535)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return b[:n]
	}
}

func TestDatagramsAreGathered(t *testing.T) {
	want := stream()[:10_000]
	for option, sizes := range map[string][]int{
		"":             {1400, 1400, 1400, 1400, 1400, 1400, 1400, 200},
		"?packet=1316": {1316, 1316, 1316, 1316, 1316, 1316, 1316, 788},
		"?packet=6000": {6000, 4000},
	} {
		conn, next := receiver(t)
		e := open(t, "udp://"+conn.LocalAddr().String()+option, Destination, Config{})
		if _, ok := e.Writer.(syscall.Conn); ok {
			t.Error("shows its descriptor")
		}
		src := io.Reader(bytes.NewReader(want))
		if option != "" {
			src = struct{ io.Reader }{io.MultiReader(bytes.NewReader(want[:100]), bytes.NewReader(want[100:5000]), bytes.NewReader(want[5000:]))}
		}
		if _, err := penstock.Copy(within(t), e.Writer, src); err != nil {
			t.Error(err)
		}
		if err := e.Finish(within(t)); err != nil {
			t.Error(err)
		}
		var got []byte
		for _, size := range sizes {
			b := next()
			if len(b) != size {
				t.Errorf("%q: a datagram of %d bytes, want %d", option, len(b), size)
			}
			got = append(got, b...)
		}
		same(t, got, want)
	}
}

func TestDatagramsAreAStreamWithoutAnEnd(t *testing.T) {
	at := freeUDPPort(t)
	var said []string
	e := open(t, "udp-listen://"+at+"?rcvbuf=1MiB", Source, Config{Say: func(text string) { said = append(said, text) }})
	if len(said) != 1 || said[0] != "listening on "+at {
		t.Errorf("%q", said)
	}
	if _, ok := e.Reader.(syscall.Conn); ok {
		t.Error("shows its descriptor")
	}
	conn, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"one", "", "twenty-two"} {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 13)
	readFull(t, struct{ io.Reader }{io.MultiReader(e.Reader)}, b[:5])
	readFull(t, e.Reader, b[5:])
	same(t, b, []byte("onetwenty-two"))
	var kept bytes.Buffer
	_, err = penstock.Copy(within(t), &kept, e.Reader, penstock.WithIdleTimeout(50*time.Millisecond))
	if !errors.Is(err, penstock.ErrIdle) {
		t.Error(err)
	}
	if err := e.Finish(within(t)); err != nil {
		t.Error(err)
	}
}

func freeUDPPort(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().String()
}

func TestDatagramsAreAnswered(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	e := open(t, "udp://"+conn.LocalAddr().String()+"?bind=127.0.0.2&ttl=3", Both, Config{})
	if _, err := e.Writer.Write([]byte("there")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, from, err := conn.ReadFrom(b)
	if err != nil || string(b[:n]) != "there" || !strings.HasPrefix(from.String(), "127.0.0.2:") {
		t.Fatal(string(b[:n]), from, err)
	}
	if _, err := conn.WriteTo([]byte("back"), from); err != nil {
		t.Fatal(err)
	}
	readFull(t, e.Reader, b[:4])
	same(t, b[:4], []byte("back"))
}

// TestAReceiverOfDatagramsMayComeLater: that there is none yet is no error, and costs it but what was sent before.
func TestAReceiverOfDatagramsMayComeLater(t *testing.T) {
	where := freeUDPPort(t)
	e := open(t, "udp://"+where, Destination, Config{})
	for range 100 { // the answer to the first comes before one of the others
		if n, err := e.Writer.Write([]byte("lost")); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	}
	to := open(t, "udp-listen://"+where, Source, Config{})
	for range 2 { // the first may still be told that there was nobody
		if _, err := e.Writer.Write([]byte("had")); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 3)
	_ = to.Reader.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(time.Now().Add(10 * time.Second))
	readFull(t, to.Reader, b)
	same(t, b, []byte("had"))
}

func TestAGroupIsJoined(t *testing.T) {
	lo := loopback(t)
	group := "239.255.77.7:" + strings.TrimPrefix(freeUDPPort(t), "127.0.0.1:")
	e := open(t, "udp-listen://"+group+"?interface="+lo, Source, Config{})
	dst := open(t, "udp://"+group+"?ttl=1&packet=7&interface="+lo, Destination, Config{})
	fill(t, dst, []byte("seven bseven b"))
	b := make([]byte, 14)
	_ = e.Reader.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(time.Now().Add(10 * time.Second))
	readFull(t, e.Reader, b)
	same(t, b, []byte("seven bseven b"))
	fails(t, "udp-listen://"+group+"?interface=none", Source, `option "interface" "none": there is no such interface`)
	fails(t, "udp://"+group+"?interface=none", Destination, `option "interface" "none": there is no such interface`)
}

func loopback(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("there is no loopback interface")
	return ""
}

func TestAReadOfDatagramsHasADeadline(t *testing.T) {
	e := open(t, "udp-listen://127.0.0.1:0", Source, Config{})
	_ = e.Reader.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(time.Unix(1, 0))
	if _, err := e.Reader.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
