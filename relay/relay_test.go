package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// noise is bytes that are nowhere the same.
func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = rng.Read(b)
	return b
}

// echo is a server that says back what it hears. It returns its address.
func echo(t *testing.T) string {
	return server(t, func(c *net.TCPConn) {
		_, _ = io.Copy(c, c)
		_ = c.CloseWrite()
	})
}

// server serves each connection with f, and closes it then.
func server(t *testing.T, f func(c *net.TCPConn)) string {
	t.Helper()
	l := listen(t)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// running is a relay that serves, and what it has said of connections that are over.
type running struct {
	*relay.Relay
	addr    string
	records chan relay.Record
}

func run(t *testing.T, c relay.Config) *running {
	t.Helper()
	r := &running{records: make(chan relay.Record, 1000)}
	c.Access = func(rec relay.Record) { r.records <- rec }
	var err error
	if r.Relay, err = relay.New(c); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	r.addr = l.Addr().String()
	over := make(chan error)
	go func() { over <- r.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		r.Close()
		if err := <-over; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

// ended returns what is said of the connection that is the next to be over.
func (r *running) ended(t *testing.T) relay.Record {
	t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-time.After(10 * time.Second):
		t.Fatal("no connection is over")
		panic("not reached")
	}
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// say sends everything, and the end of it.
func say(t *testing.T, c *net.TCPConn, b []byte) {
	t.Helper()
	_, err := c.Write(b)
	if err = errors.Join(err, c.CloseWrite()); err != nil {
		t.Error(err)
	}
}

// hear returns everything up to the end.
func hear(t *testing.T, c net.Conn) []byte {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return b
}

// TestARelayForwardsBothWays every byte, and says how it was.
func TestARelayForwardsBothWays(t *testing.T) {
	for _, noSplice := range []bool{false, true} {
		r := run(t, relay.Config{Targets: []relay.Target{{Address: echo(t)}}, NoSplice: noSplice})
		for _, n := range []int{0, 1, 4096, 100_000, 10 << 20} {
			data := noise(n)
			c := dial(t, r.addr)
			go say(t, c, data)
			if got := hear(t, c); !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back of %d, or others", len(got), n)
			}
			rec := r.ended(t)
			if rec.End != "--" || rec.Error != "" || rec.Forward != int64(n) || rec.Backward != int64(n) || rec.Target == "" || rec.Ready <= 0 {
				t.Errorf("%d bytes: %+v", n, rec)
			}
			if noSplice && n > 1<<20 && rec.Path != "read/write" {
				t.Errorf("by %s", rec.Path)
			}
		}
	}
}

// sinks are mirrors that keep what they get.
type sinks struct {
	mu  sync.Mutex
	all map[relay.Direction]*kept
}

type kept struct {
	mu sync.Mutex
	bytes.Buffer
	closed chan struct{}
}

func (k *kept) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Buffer.Write(b)
}

func (k *kept) Close() error {
	close(k.closed)
	return nil
}

func (s *sinks) open(_ context.Context, _ relay.Info, d relay.Direction) (io.WriteCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &kept{closed: make(chan struct{})}
	if s.all == nil {
		s.all = make(map[relay.Direction]*kept)
	}
	s.all[d] = k
	return k, nil
}

// TestAMirrorGetsEveryByte of the directions that it is for, and no more of each than it is to have.
func TestAMirrorGetsEveryByte(t *testing.T) {
	data := noise(1<<20 + 1)
	for _, noSplice := range []bool{false, true} {
		for _, d := range []relay.Direction{0, relay.Forward, relay.Backward} {
			for _, most := range []int64{0, 1000, 1 << 19} {
				var s sinks
				r := run(t, relay.Config{
					Targets: []relay.Target{{Address: echo(t)}}, NoSplice: noSplice,
					Mirrors: []relay.Mirror{{Name: "m", Open: s.open, Direction: d, MaxBytes: most, Queue: 8 << 20}},
				})
				c := dial(t, r.addr)
				go say(t, c, data)
				if got := hear(t, c); !bytes.Equal(got, data) {
					t.Errorf("%d bytes came back, or others", len(got))
				}
				rec := r.ended(t)
				want := data
				if most > 0 {
					want = data[:most]
				}
				for _, one := range []relay.Direction{relay.Forward, relay.Backward} {
					k := s.all[one]
					if (k != nil) != (d == 0 || d == one) {
						t.Fatalf("%v is mirrored, or not", one)
					}
					if k == nil {
						continue
					}
					if <-k.closed; !bytes.Equal(k.Bytes(), want) {
						t.Errorf("%v: the mirror has %d bytes of %d, or others", one, k.Len(), len(want))
					}
				}
				if rec.End != "--" || rec.Lost != 0 || rec.Mirrored != int64(len(want)*len(s.all)) {
					t.Errorf("%+v", rec)
				}
			}
		}
	}
}

// TestAMirrorThatTakesNothingHoldsNobodyUp, and what it lacks is told.
func TestAMirrorThatNobodyGetsCountsEveryByteAndCostsNoCopy(t *testing.T) {
	data := noise(5 << 20)
	for most, want := range map[int64]int64{0: int64(len(data)), 1000: 1000} {
		ended := make(chan relay.Ending, 1)
		r := run(t, relay.Config{
			Targets: []relay.Target{{Address: echo(t)}},
			Mirrors: []relay.Mirror{{
				Name: "m", MaxBytes: most, Queue: 1, Ended: func(_ relay.Info, e relay.Ending) { ended <- e },
			}},
		})
		c := dial(t, r.addr)
		go say(t, c, data)
		if got := hear(t, c); !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back, or others", len(got))
		}
		if rec := r.ended(t); rec.End != "--" || rec.Lost != 0 || rec.Mirrored != 2*want || strings.Contains(rec.Path, "tee") {
			t.Errorf("%+v", rec)
		}
		if e := <-ended; e.Forward != (relay.Share{Had: want}) || e.Backward != e.Forward {
			t.Errorf("%+v", e)
		}
	}
}

func TestAMirrorThatTakesNothingHoldsNobodyUp(t *testing.T) {
	data := noise(5 << 20)
	for name, disconnect := range map[string]bool{"skip": false, "disconnect": true} {
		t.Run(name, func(t *testing.T) {
			stuck := make(chan struct{})
			r := run(t, relay.Config{
				Targets: []relay.Target{{Address: echo(t)}},
				Mirrors: []relay.Mirror{{
					Name: "m", Direction: relay.Forward, Disconnect: disconnect,
					Open: func(ctx context.Context, _ relay.Info, _ relay.Direction) (io.WriteCloser, error) {
						select {
						case <-stuck:
						case <-ctx.Done():
						}
						return nil, errors.New("cannot be opened")
					},
				}},
			})
			c := dial(t, r.addr)
			go say(t, c, data)
			if got := hear(t, c); !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back, or others", len(got))
			}
			close(stuck)
			rec := r.ended(t)
			if rec.End != "--" || rec.Mirrored != 0 || rec.Lost != int64(len(data)) || r.Stats().Lost != rec.Lost {
				t.Errorf("%+v", rec)
			}
		})
	}
}

// TestAnIdleConnectionHasNoMirror: one is opened with the first byte.
func TestAnIdleConnectionHasNoMirror(t *testing.T) {
	var s sinks
	r := run(t, relay.Config{Targets: []relay.Target{{Address: echo(t)}}, Mirrors: []relay.Mirror{{Open: s.open}}})
	c := dial(t, r.addr)
	say(t, c, nil)
	hear(t, c)
	if rec := r.ended(t); rec.End != "--" || len(s.all) != 0 {
		t.Errorf("%+v, %d mirrors", rec, len(s.all))
	}
}
