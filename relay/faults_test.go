package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// bothWays runs a test by splice, and without.
func bothWays(t *testing.T, f func(t *testing.T, c relay.Config)) {
	t.Run("splice", func(t *testing.T) { f(t, relay.Config{}) })
	t.Run("no splice", func(t *testing.T) { f(t, relay.Config{NoSplice: true}) })
	t.Run("mirrored", func(t *testing.T) {
		f(t, relay.Config{Mirrors: []relay.Mirror{{Name: "m", Queue: 64 << 20, Open: discarding}}})
	})
}

type discard struct{ io.Writer }

func (discard) Close() error { return nil }

func discarding(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
	return discard{io.Discard}, nil
}

type openFunc = func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error)

func to(addr string) openFunc {
	return func(ctx context.Context, _ relay.Info, _ relay.Direction) (io.WriteCloser, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return c.(*net.TCPConn), nil
	}
}

// reset closes a connection so that its peer gets a reset.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // fails if it is closed already
	c.Close()
}

// seesReset looks at what a connection ends with whose other end has not said an end. Not everywhere is it known what may
// be reset.
func seesReset(t *testing.T, err error) {
	t.Helper()
	if runtime.GOOS == "linux" && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("it ends with %v, as if all had been said", err)
	}
}

// turnedAway comes, says something, and sees that it is turned away.
func turnedAway(t *testing.T, addr, says string) {
	t.Helper()
	client, err := net.Dial("tcp", addr) // which may see it already
	if err == nil {
		defer client.Close()
		_, err = io.WriteString(client, says)
		_, rerr := io.Copy(io.Discard, client)
		err = errors.Join(err, rerr)
	}
	seesReset(t, err)
}

// refusing is an address at which nobody listens: this one, until the test is over, by being the one of a socket that
// does not listen.
func refusing(t *testing.T) string {
	t.Helper()
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

// TestWhoResetsIsSaid and what had come before is what the other has got, whichever way it goes and wherever it ends.
func TestWhoResetsIsSaid(t *testing.T) {
	offsets := []int{0, 1, 100, 4096, 65536, 65537, 1 << 20, 3<<20 + 17}
	bothWays(t, func(t *testing.T, c relay.Config) {
		for _, n := range offsets {
			t.Run(fmt.Sprint("client after ", n), func(t *testing.T) {
				data, got, all := noise(n), make(chan []byte, 1), make(chan struct{})
				c := c
				c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
					b := make([]byte, n)
					_, err := io.ReadFull(s, b)
					close(all)
					rest, failed := io.ReadAll(s)
					if seesReset(t, failed); err == nil {
						b = append(b, rest...)
					}
					got <- b
				})}}
				r := run(t, c)
				client := dial(t, r.addr)
				if _, err := client.Write(data); err != nil {
					t.Error(err)
				}
				await(t, all, "all that was sent")
				reset(client)
				if b := await(t, got, "the end, at the target"); !bytes.Equal(b, data) {
					t.Errorf("the target has got %d bytes, or others", len(b))
				}
				if rec := r.ended(t); rec.End != "CD" || rec.Forward != int64(n) || rec.Error == "" {
					t.Errorf("%+v", rec)
				}
			})
			t.Run(fmt.Sprint("target after ", n), func(t *testing.T) {
				data, all := noise(n), make(chan struct{})
				c := c
				c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
					_, _ = s.Write(data)
					<-all
					reset(s)
				})}}
				r := run(t, c)
				client := dial(t, r.addr)
				b := make([]byte, n)
				if _, err := io.ReadFull(client, b); err != nil || !bytes.Equal(b, data) {
					t.Errorf("the client has got others, or %v", err)
				}
				moving(t, r) // a reset before that is one of connecting
				close(all)
				_, err := io.Copy(io.Discard, client)
				seesReset(t, err)
				if rec := r.ended(t); rec.End != "SD" || rec.Backward != int64(n) || rec.Error == "" {
					t.Errorf("%+v", rec)
				}
			})
		}
	})
}

// TestAResetInTheMiddleLosesNothingBefore what the other end has got: that is always a beginning of what was sent.
func TestAResetInTheMiddleLosesNothingBefore(t *testing.T) {
	data := noise(4 << 20)
	bothWays(t, func(t *testing.T, c relay.Config) {
		for _, n := range []int{1, 65536, 1<<20 + 1, 2 << 20} {
			got := make(chan []byte, 1)
			c := c
			c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
				b, _ := io.ReadAll(io.LimitReader(s, int64(n)))
				reset(s) // while the client is sending
				got <- b
			})}}
			r := run(t, c)
			client := dial(t, r.addr)
			_, _ = client.Write(data)
			_, _ = io.Copy(io.Discard, client)
			if b := await(t, got, "what the target has got"); !bytes.Equal(b, data[:n]) {
				t.Errorf("the target has got %d bytes of %d, or others", len(b), n)
			}
			if rec := r.ended(t); rec.End != "SD" || rec.Forward < int64(n) {
				t.Errorf("%+v", rec)
			}

			seen := make(chan []byte, 1)
			c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
				b, _ := io.ReadAll(s)
				seen <- b
			})}}
			r = run(t, c)
			client = dial(t, r.addr)
			if _, err := client.Write(data[:n]); err != nil {
				t.Error(err)
			}
			reset(client) // what is under way may be lost, and nothing else
			if b := await(t, seen, "the end, at the target"); !bytes.HasPrefix(data[:n], b) {
				t.Errorf("the target has got %d bytes that were not sent like this", len(b))
			}
			if rec := r.ended(t); rec.End != "CD" {
				t.Errorf("%+v", rec)
			}
		}
	})
}

// TestEitherSideMayHaveSaidAllFirst and still hears all of the other.
func TestEitherSideMayHaveSaidAllFirst(t *testing.T) {
	question, answer := noise(2<<20+1), noise(3<<20+5)
	bothWays(t, func(t *testing.T, c relay.Config) {
		for name, clientFirst := range map[string]bool{"client": true, "target": false} {
			t.Run(name, func(t *testing.T) {
				heard := make(chan []byte, 1)
				c := c
				c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
					if clientFirst {
						heard <- hear(t, s)
						say(t, s, answer)
					} else {
						say(t, s, answer)
						heard <- hear(t, s)
					}
				})}}
				r := run(t, c)
				client := dial(t, r.addr)
				var got []byte
				if clientFirst {
					say(t, client, question)
					got = hear(t, client)
				} else {
					got = hear(t, client)
					say(t, client, question)
				}
				if !bytes.Equal(got, answer) {
					t.Errorf("the client has got %d bytes of %d, or others", len(got), len(answer))
				}
				if b := await(t, heard, "the end, at the target"); !bytes.Equal(b, question) {
					t.Errorf("the target has got %d bytes of %d, or others", len(b), len(question))
				}
				if rec := r.ended(t); rec.End != "--" || rec.Error != "" {
					t.Errorf("%+v", rec)
				}
			})
		}
	})
}

// endless sends until that fails.
func endless(c net.Conn) {
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// TestAStalledReaderLosesNothing when it reads on, and the other direction has not waited for it.
func TestAStalledReaderLosesNothing(t *testing.T) {
	data := noise(32 << 20) // for which no buffers have room
	bothWays(t, func(t *testing.T, c relay.Config) {
		for name, clientStalls := range map[string]bool{"client": true, "target": false} {
			t.Run(name, func(t *testing.T) {
				targets := make(chan *net.TCPConn)
				over := make(chan struct{})
				c := c
				c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
					targets <- s
					<-over
				})}}
				r := run(t, c)
				defer close(over)
				speaker := dial(t, r.addr)
				stalled := await(t, targets, "the connection, at the target")
				if clientStalls {
					speaker, stalled = stalled, speaker
				}
				_, _ = stalled.SetReadBuffer(64<<10), speaker.SetWriteBuffer(64<<10)
				n := 0
				for stuck := false; !stuck; { // until nothing has moved for a while
					_ = speaker.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
					m, err := speaker.Write(data[n:])
					if n += m; err != nil {
						stuck = m == 0
					} else {
						t.Fatalf("there is room for %d bytes", n)
					}
				}
				word := []byte("nobody waits")
				_, err := stalled.Write(word)
				got := make([]byte, len(word))
				if _, e := io.ReadFull(speaker, got); errors.Join(err, e) != nil || !bytes.Equal(got, word) {
					t.Errorf("%q: %v, %v", got, err, e)
				}
				_ = speaker.SetWriteDeadline(time.Time{})
				end := n + 100_000
				go say(t, speaker, data[n:end])
				if got := hear(t, stalled); !bytes.Equal(got, data[:end]) {
					t.Errorf("it has got %d bytes of %d, or others", len(got), end)
				}
				_ = stalled.CloseWrite()
				if rec := r.ended(t); rec.End != "--" || rec.Error != "" || rec.Forward+rec.Backward != int64(end+len(word)) {
					t.Errorf("%+v", rec)
				}
			})
		}
	})
}

// silent does nothing until its peer has gone.
func silent(stop <-chan struct{}) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		_ = c.SetReadBuffer(4096)
		<-stop
	}
}

// TestEndingsThatTheRelayMakes are said by two letters, in whichever state it finds the connection.
func TestEndingsThatTheRelayMakes(t *testing.T) {
	const soon = 30 * time.Millisecond
	kill := func(r *running, id uint64) { r.Kill(id) }
	drain := func(r *running, _ uint64) { r.Close() }
	for name, test := range map[string]struct {
		config relay.Config
		server func(*net.TCPConn) // nil is silent; it is stopped when the connection is over
		client func(net.Conn)     // likewise
		act    func(r *running, id uint64)
		end    string
	}{
		"killed, quiet":               {act: kill, end: "KD"},
		"killed, the target stalls":   {client: endless, act: kill, end: "KD"},
		"killed, the client stalls":   {server: func(c *net.TCPConn) { endless(c) }, act: kill, end: "KD"},
		"drained, quiet":              {act: drain, end: "DD"},
		"drained, the target stalls":  {client: endless, act: drain, end: "DD"},
		"idle":                        {config: relay.Config{IdleTimeout: soon}, end: "cD"},
		"idle, the target stalls":     {config: relay.Config{IdleTimeout: soon}, client: endless, end: "sD"},
		"idle, the client stalls":     {config: relay.Config{IdleTimeout: soon}, server: func(c *net.TCPConn) { endless(c) }, end: "cD"},
		"too long":                    {config: relay.Config{Timeout: soon}, end: "PD"},
		"too long, the target stalls": {config: relay.Config{Timeout: soon}, client: endless, end: "PD"},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, c relay.Config) {
				stop, came := make(chan struct{}), make(chan struct{})
				stopping := sync.OnceFunc(func() { close(stop) })
				defer stopping()
				c.IdleTimeout, c.Timeout = test.config.IdleTimeout, test.config.Timeout
				c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
					_ = s.SetReadBuffer(4096) // which stalls sooner
					close(came)
					if test.server != nil {
						test.server(s)
					}
					<-stop
				})}}
				r := run(t, c)
				client := dial(t, r.addr)
				_ = client.SetReadBuffer(4096)
				var clients sync.WaitGroup
				defer clients.Wait()
				if test.client != nil {
					clients.Go(func() { test.client(client) })
				}
				await(t, came, "the connection, at the target")
				if test.act != nil {
					one := moving(t, r)
					test.act(r, one.ID)
				}
				if rec := r.ended(t); rec.End != test.end {
					t.Errorf("%+v", rec)
				}
				stopping()
			})
		})
	}
}

// moving returns a connection that has a target.
func moving(t *testing.T, r *running) relay.Record {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, one := range r.Connections() {
			if one.Ready > 0 {
				return one
			}
		}
	}
	t.Fatal("no connection has a target")
	panic("not reached")
}

// TestAByteTooManyIsNotForwarded and all that may be are.
func TestAByteTooManyIsNotForwarded(t *testing.T) {
	const most = 1<<20 + 3
	bothWays(t, func(t *testing.T, c relay.Config) {
		for _, version := range []int{0, 2} { // a header is not the client's
			for sent, end := range map[int]string{most - 1: "--", most + 1: "PD"} {
				c.MaxBytes, c.ProxyOut, c.Targets = most, version, []relay.Target{{Address: countingEcho(t, version == 2)}}
				r := run(t, c)
				client := dial(t, r.addr)
				data := noise(sent)
				go func() {
					_, _ = client.Write(data)
					_ = client.CloseWrite()
				}()
				got, _ := io.ReadAll(client) // what is not taken from the client may reset it
				if want := data[:min(sent, most)]; sent <= most && !bytes.Equal(got, want) || !bytes.HasPrefix(want, got) {
					t.Errorf("%d bytes of %d came back, or others", len(got), len(want))
				}
				if rec := r.ended(t); rec.End != end || rec.Backward > most {
					t.Errorf("%d bytes, PROXY %d: %+v, want %s", sent, version, rec, end)
				}
			}
		}
	})
}

// countingEcho is an echo that leaves out a PROXY header of version 2, of IPv4.
func countingEcho(t *testing.T, header bool) string {
	return server(t, func(c *net.TCPConn) {
		if header {
			_, _ = io.CopyN(io.Discard, c, 28)
		}
		_, _ = io.Copy(c, c)
		_ = c.CloseWrite()
	})
}

// TestManyThatComeAndGoLeaveNothing behind: no connection, no place, no count.
func TestManyThatComeAndGoLeaveNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, c relay.Config) {
		c.Targets, c.MaxPerSource, c.MaxConns = []relay.Target{{Address: echo(t)}}, 1000, 500
		r := run(t, c)
		const clients, each = 8, 125
		var all sync.WaitGroup
		for k := range clients {
			all.Go(func() {
				for i := range each {
					conn, err := net.Dial("tcp", r.addr)
					if err != nil {
						t.Error(err)
						return
					}
					switch tcp := conn.(*net.TCPConn); (i + k) % 3 {
					case 0:
						tcp.Close()
					case 1:
						reset(tcp)
					case 2:
						word := fmt.Appendf(nil, "%d of %d", i, k)
						_, err := tcp.Write(word)
						got := make([]byte, len(word))
						if _, e := io.ReadFull(tcp, got); errors.Join(err, e) != nil || !bytes.Equal(got, word) {
							t.Errorf("%q for %q, %v %v", got, word, err, e)
						}
						tcp.Close()
					}
				}
			})
		}
		all.Wait()
		ends := make(map[string]int)
		for range clients * each {
			rec := r.ended(t)
			if ends[rec.End]++; rec.End != "--" && rec.End != "CD" {
				t.Errorf("%+v", rec)
			}
		}
		s := r.Stats()
		if s.Open != 0 || s.Accepted != clients*each || s.Targets[0].Open != 0 || len(r.Connections()) != 0 {
			t.Errorf("%+v", s)
		}
	})
}
