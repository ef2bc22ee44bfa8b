package address_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/penstock-io/penstock/address"
)

// streamSockets are the kinds of stream sockets, each with an address to listen on.
func streamSockets(t *testing.T) map[string]string {
	all := map[string]string{
		"tcp":  "tcp-listen://127.0.0.1:0",
		"unix": "unix-listen:" + filepath.Join(t.TempDir(), "s"),
	}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		all["tcp over IPv6"] = "tcp-listen://[::1]:0"
	}
	return all
}

// peerOf is the address to connect to a listener.
func peerOf(l *Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return "tcp://" + l.Addr().String()
}

func TestAConnectionCarriesEveryByteEitherWay(t *testing.T) {
	want := stream()
	for name, text := range streamSockets(t) {
		t.Run(name, func(t *testing.T) {
			l := listen(t, text+"?accept=2&rcvbuf=1MiB", Source, Config{})
			got := make(chan []byte, 2)
			defer meanwhile(func() {
				for range 2 {
					e := accept(t, l)
					isBare(t, e.Reader)
					got <- drain(t, e)
				}
				if _, err := l.Accept(t.Context()); err != io.EOF {
					t.Error("a third: ", err)
				}
			})()
			for range 2 {
				e := open(t, peerOf(l)+"?sndbuf=1MiB", Destination, Config{})
				isBare(t, e.Writer)
				fill(t, e, want)
				same(t, <-got, want)
			}
		})
		t.Run(name+", from who listens", func(t *testing.T) {
			l := listen(t, text, Destination, Config{})
			defer meanwhile(func() { fill(t, accept(t, l), want) })()
			same(t, drain(t, open(t, peerOf(l), Source, Config{})), want)
		})
	}
}

func isBare(t *testing.T, v any) {
	t.Helper()
	switch v.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		t.Errorf("%T", v)
	}
}

// What the peer answers to the last byte is not in the way: it is read, so that nothing resets the connection.
func TestTheTailArrivesAlthoughThePeerAnswers(t *testing.T) {
	want := stream()
	for name, text := range streamSockets(t) {
		t.Run(name, func(t *testing.T) {
			l := listen(t, text, Both, Config{})
			got := make(chan []byte, 1)
			defer meanwhile(func() {
				e := accept(t, l)
				// The answer is longer than sockets hold, and comes while nothing is read.
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = e.Writer.Write(want) })
				time.Sleep(50 * time.Millisecond) // so that there is a backlog either way; right without it, too
				b, err := io.ReadAll(e.Reader)
				if err != nil {
					t.Error(err)
				}
				got <- b
				wg.Wait()
				if err := e.Finish(within(t)); err != nil {
					t.Error(err)
				}
			})()
			fill(t, open(t, peerOf(l), Destination, Config{}), want)
			same(t, <-got, want)
		})
	}
}

func TestAPeerThatDoesNotCloseIsNotWaitedForLong(t *testing.T) {
	l := listen(t, "tcp-listen://127.0.0.1:0", Both, Config{})
	e := open(t, peerOf(l), Destination, Config{})
	peer := accept(t, l)
	fill(t, e, []byte("all of it"))
	b := make([]byte, 9)
	readFull(t, peer.Reader, b)
	same(t, b, []byte("all of it"))
}

func TestAPeerThatResetsHasNotReadItAll(t *testing.T) {
	l := listen(t, "tcp-listen://127.0.0.1:0", Source, Config{})
	e := open(t, peerOf(l), Destination, Config{})
	peer := accept(t, l)
	if _, err := e.Writer.Write([]byte("nobody reads this")); err != nil {
		t.Fatal(err)
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	err := e.Finish(within(t))
	if !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), "the peer may not have read it all: ") {
		t.Error(err)
	}
}

func TestFinishEndsWithItsContext(t *testing.T) {
	l := listen(t, "tcp-listen://127.0.0.1:0", Source, Config{})
	e := open(t, peerOf(l), Destination, Config{})
	accept(t, l)
	filled := stream()
	tcp := e.Writer.(*net.TCPConn)
	_ = tcp.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := tcp.Write(filled); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("a peer that does not read has taken it: ", err)
	}
	ctx, cancel := context.WithCancelCause(within(t))
	time.AfterFunc(20*time.Millisecond, func() { cancel(errEnough) })
	says(t, e.Address, e.Finish(ctx), "waiting for the peer to take the rest: enough")
}

func TestAConnectionThatIsGivenUpIsReset(t *testing.T) {
	l := listen(t, "tcp-listen://127.0.0.1:0", Source, Config{})
	e := open(t, peerOf(l), Destination, Config{})
	peer := accept(t, l)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(peer.Reader); !errors.Is(err, syscall.ECONNRESET) {
		t.Error("the peer is told ", err)
	}
}

func TestBothWaysAreEndedOneAfterTheOther(t *testing.T) {
	for name, text := range streamSockets(t) {
		t.Run(name, func(t *testing.T) {
			l := listen(t, text, Both, Config{})
			e := open(t, peerOf(l), Both, Config{})
			peer := accept(t, l)
			defer meanwhile(func() {
				b, err := io.ReadAll(peer.Reader)
				if err != nil {
					t.Error(err)
				}
				fill(t, peer, append(b, " and back"...))
			})()
			if _, err := e.Writer.Write([]byte("there")); err != nil {
				t.Error(err)
			}
			if err := e.CloseWrite(); err != nil {
				t.Error(err)
			}
			same(t, drain(t, e), []byte("there and back"))
		})
	}
}

func TestWhoCannotBeConnectedToIsNamedOnce(t *testing.T) {
	fails(t, "tcp://"+closedPort(t), Source, "connect: connection refused")
	fails(t, "tcp://127.0.0.1:1?bind=192.0.2.1", Source, "bind: cannot assign requested address")
	dir := t.TempDir()
	fails(t, "unix:"+dir+"/none", Destination, "connect: no such file or directory")
	fails(t, "unix:"+dir+"/"+strings.Repeat("x", 200), Destination, pathTooLong(dir+"/"+strings.Repeat("x", 200)))
	l := listen(t, "tcp-listen://127.0.0.1:0", Source, Config{})
	fails(t, "tcp-listen://"+l.Addr().String(), Source, "bind: address already in use")
	fails(t, "tcp-listen://192.0.2.1:0", Source, "bind: cannot assign requested address")
	fails(t, "unix-listen:"+dir+"/no/ne", Source, "bind: no such file or directory")
}

func TestAHostThatIsNotThereIsNamed(t *testing.T) {
	a := parse(t, "tcp://nowhere.invalid:1")
	_, err := a.Open(within(t), Source, Config{})
	var dns *Error
	if !errors.As(err, &dns) || dns.Part != `host "nowhere.invalid"` || strings.Count(err.Error(), "nowhere") != 2 {
		t.Error(err)
	}
}

func TestAConnectionComesFromWhereItIsBoundTo(t *testing.T) {
	l := listen(t, "tcp-listen://127.0.0.1:0", Source, Config{})
	open(t, peerOf(l)+"?bind=127.0.0.2", Destination, Config{})
	if e := accept(t, l); !strings.HasPrefix(e.Peer, "127.0.0.2:") {
		t.Error(e.Peer)
	}
}

func TestAWaitForAConnectionCanBeCut(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"tcp-listen://127.0.0.1:0", "unix-listen:" + dir + "/s"} {
		isCut(t, text, Source)
		fails(t, text+"?timeout=20ms", Source, "timed out after 20ms")
	}
	if _, err := os.Stat(dir + "/s"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the socket is still there: ", err)
	}
	isCut(t, "tcp://"+closedPort(t)+"?retry=1h", Source)
}

func TestAnAttemptIsRepeatedUntilSomebodyIsThere(t *testing.T) {
	at := closedPort(t)
	refused := make(chan string, 2)
	got := make(chan []byte, 1)
	defer meanwhile(func() {
		if said := <-refused; said != "cannot connect yet: connect: connection refused; trying again" {
			t.Errorf("%q", said)
		}
		got <- drain(t, accept(t, listen(t, "tcp-listen://"+at, Source, Config{})))
	})()
	fill(t, open(t, at+"?retry=20s", Destination, Config{Say: func(text string) { refused <- text }}), []byte("x"))
	same(t, <-got, []byte("x"))
	if len(refused) > 0 {
		t.Errorf("and then: %q", <-refused)
	}
	fails(t, closedPort(t)+"?retry=120ms", Source, "connect: connection refused")
}

func TestAListenerSaysWhereItListens(t *testing.T) {
	var said []string
	l := listen(t, "tcp-listen://127.0.0.1:0?timeout=20ms", Source, Config{Say: func(text string) { said = append(said, text) }})
	if want := "listening on " + l.Addr().String(); !slices.Equal(said, []string{want}) {
		t.Errorf("%q", said)
	}
	_, err := l.Accept(within(t))
	says(t, parse(t, "tcp-listen://127.0.0.1:0?timeout=20ms"), err, "timed out after 20ms")
}

func TestAListenerThatForksHasNoEnd(t *testing.T) {
	l := listen(t, "tcp-listen://127.0.0.1:0?fork", Source, Config{})
	for range 5 {
		open(t, peerOf(l), Destination, Config{})
		accept(t, l)
	}
}

func pathTooLong(path string) string {
	return fmt.Sprintf("has %d bytes: a socket's path can have %d", len(path), len(syscall.RawSockaddrUnix{}.Path)-1)
}
