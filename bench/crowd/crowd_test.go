package main

import (
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/table"
)

func TestMain(m *testing.M) {
	if name := role.Mine(); name != "" {
		role.Exit(name, playRole(name))
	}
	os.Exit(m.Run())
}

// small is a crowd for a test: all of its viewers check what they get.
var small = spec{Viewers: 20, Rate: 125_000, Message: 5000, Parse: 1, Ramp: 2000, For: time.Second}

// figure returns one of a sample's values by its name.
func figure(t *testing.T, s table.Sample, name string) float64 {
	t.Helper()
	at := slices.IndexFunc(metrics, func(m table.Metric) bool { return m.Name == name })
	if at < 0 {
		t.Fatalf("no metric %q", name)
	}
	return s.Values[at]
}

func TestEveryServerShowsItsCrowdEveryMessage(t *testing.T) {
	for _, kind := range []string{"multiwriter", "channel", "hub", "serve", "icecast"} {
		t.Run(kind, func(t *testing.T) {
			m := measurer{dir: t.TempDir()}
			kinds, err := m.available([]string{kind})
			if kind == "icecast" && len(kinds) == 0 {
				t.Skip("icecast2 is not installed")
			}
			if err != nil {
				t.Fatal(err)
			}
			openToAll(t, m.dir)
			s := small
			s.Kind = kind
			got, err := measure(s, m.paths, m.dir)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]float64{"joined": 20, "lost": 0, "gone": 0} {
				if v := figure(t, got, name); v != want {
					t.Errorf("%s: %g, want %g", name, v, want)
				}
			}
		})
	}
}

// openToAll lets another user into a test's directory: icecast does not run as root.
func openToAll(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && len(d) > 1; d = d[:strings.LastIndexByte(d, '/')] {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadViewersCostTheOthersOfAHubNothing(t *testing.T) {
	s := small
	s.Kind, s.Bad = "hub", true
	got, err := measure(s, nil, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"joined": 20, "lost": 0, "gone": 0} {
		if v := figure(t, got, name); v != want {
			t.Errorf("%s: %g, want %g", name, v, want)
		}
	}
}

// crowdWith returns a crowd of that kind with two viewers, one of which reads, and the publisher's end. Nobody sends
// anything of their own accord.
func crowdWith(t *testing.T, kind string) (publisher, reader, stalled net.Conn) {
	t.Helper()
	pair := func() (near *net.TCPConn, far net.Conn) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { far.Close() })
		return c.(*net.TCPConn), far
	}
	c := crowds[kind]()
	from, publisher := pair()
	a, reader := pair()
	b, stalled := pair()
	if err := b.SetWriteBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if err := stalled.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	c.join(a)
	c.join(b)
	carried := make(chan error, 1)
	go func() { carried <- c.carry(from) }()
	t.Cleanup(func() {
		publisher.Close()
		if err := <-carried; err != nil {
			t.Error(err)
		}
		from.Close()
	})
	return publisher, reader, stalled
}

func TestAViewerThatTakesNothingIsDroppedAndTheOthersGoOn(t *testing.T) {
	for _, kind := range []string{"multiwriter", "channel"} {
		t.Run(kind, func(t *testing.T) {
			publisher, reader, stalled := crowdWith(t, kind)
			const much = 64 << 20 // more than sockets and queues hold
			failed := make(chan error, 1)
			go func() {
				_, err := io.CopyN(publisher, zeros{}, much)
				failed <- err
			}()
			if kind == "channel" {
				// It drops whoever is slower than the publisher, the reader too: it is the dropping that is tested.
				go func() { _, _ = io.Copy(io.Discard, reader) }()
			} else if n, err := io.CopyN(io.Discard, reader, much); n != much || err != nil {
				t.Fatalf("the reader got %d bytes: %v", n, err)
			}
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, stalled)
			if n >= much {
				t.Errorf("the viewer that did not read got all %d bytes: %v", n, err)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestOnlyAGoodAnswerIsTakenForOne(t *testing.T) {
	r := strings.NewReader("HTTP/1.1 200 OK\r\nA: b\r\n\r\nstream")
	if err := awaitAnswer(r); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "stream" || err != nil {
		t.Errorf("%q is left behind the answer: %v", rest, err)
	}
	for text, want := range map[string]string{
		"HTTP/1.1 404 Not Found\r\n\r\n":                    "refused: HTTP/1.1 404 Not Found",
		"HTTP/1.1 200 OK\r\n":                               "no answer but",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("x", 10<<10): "no end",
	} {
		if err := awaitAnswer(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}
