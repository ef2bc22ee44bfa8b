package live

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

// TestASinkOfTLSTellsHowMuchIsOnItsWay fills a connection whose peer does not read, and then lets it read.
func TestASinkOfTLSTellsHowMuchIsOnItsWay(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"bare":          func(c net.Conn) net.Conn { return c },
		"by a listener": func(c net.Conn) net.Conn { return &httpConn{Conn: c} },
	} {
		t.Run(name, func(t *testing.T) {
			near, far := tlsPair(t, wrap)
			sink, ok := sinkOf(near).(queuer)
			if !ok {
				t.Fatal("it does not tell")
			}
			const all = 64 << 20 // more than there is room for
			written := make(chan error, 1)
			go func() {
				_, err := near.Write(make([]byte, all))
				written <- err
			}()
			until(t, "full", func() bool { return sink.Queued() > 64<<10 })
			if _, err := io.CopyN(io.Discard, far, all); err != nil {
				t.Error(err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
			until(t, "empty", func() bool { return sink.Queued() == 0 })
		})
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the connection never was %s", what)
		}
	}
}

// tlsPair returns the two ends of a connection by TLS, of which the first is of a server that wraps what it accepts.
func tlsPair(t *testing.T, wrap func(net.Conn) net.Conn) (near, far *tls.Conn) {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	t.Cleanup(certified.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	near, far = tls.Server(wrap(here), certified.TLS), tls.Client(there, &tls.Config{InsecureSkipVerify: true})
	t.Cleanup(func() {
		here.Close()
		there.Close()
	})
	shaken := make(chan error, 1)
	go func() { shaken <- near.Handshake() }()
	if err := far.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return near, far
}
