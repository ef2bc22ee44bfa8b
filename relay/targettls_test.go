package relay_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// certified returns the configurations of a server that can prove its name, and of a client that asks for it.
func certified(t *testing.T) (ofServer, ofClient *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// TestTLSIsSpokenOnEitherSide with the PROXY header in front of it: what one relay sends another understands.
func TestTLSIsSpokenOnEitherSide(t *testing.T) {
	ofServer, ofClient := certified(t)
	data := noise(1<<20 + 1)
	bothWays(t, func(t *testing.T, c relay.Config) {
		for version := 1; version <= 2; version++ {
			inner := c
			inner.TLS, inner.ProxyIn, inner.Targets = ofServer, true, []relay.Target{{Address: echo(t)}}
			second := run(t, inner)
			outer := c
			outer.TLS, outer.ProxyOut = ofServer, version
			outer.Targets = []relay.Target{{Address: second.addr, TLS: ofClient}}
			first := run(t, outer)

			client := tls.Client(dial(t, first.addr), ofClient)
			go func() {
				_, err := client.Write(data)
				if err = errors.Join(err, client.CloseWrite()); err != nil {
					t.Error(err)
				}
			}()
			if got := hear(t, client); !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back, or others", len(got))
			}
			one, two := first.ended(t), second.ended(t)
			if one.End != "--" || two.End != "--" || two.Forward != int64(len(data)) || one.Forward != two.Forward {
				t.Errorf("%+v\n%+v", one, two)
			}
			if one.From.String() != client.LocalAddr().String() || two.From != one.From {
				t.Errorf("from %v, which became %v and %v", client.LocalAddr(), one.From, two.From)
			}
		}
	})
}

// tapped is a connection that keeps what has been read from it.
type tapped struct {
	net.Conn
	heard bytes.Buffer
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.heard.Write(b[:n])
	return n, err
}

// alerts counts the records of TLS 1.2 in b that are alerts.
func alerts(b []byte) (n int) {
	for len(b) >= 5 {
		if b[0] == 21 {
			n++
		}
		b = b[min(5+int(binary.BigEndian.Uint16(b[3:])), len(b)):]
	}
	return n
}

// TestTLSTellsAnEndOnlyIfItWasSaid: of a connection that was killed or reset a peer that looks can see that it lacks
// something.
func TestTLSTellsAnEndOnlyIfItWasSaid(t *testing.T) {
	ofServer, ofClient := certified(t)
	ofClient.MaxVersion = tls.VersionTLS12 // whose alerts can be told from outside
	for name, test := range map[string]struct {
		act  func(r *running, s *net.TCPConn)
		told int
	}{
		"said":                {func(_ *running, s *net.TCPConn) { s.Close() }, 1},
		"reset by the target": {func(_ *running, s *net.TCPConn) { reset(s) }, 0},
		"killed":              {func(r *running, _ *net.TCPConn) { r.Kill(r.Connections()[0].ID) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			came, stop := make(chan *net.TCPConn, 1), make(chan struct{})
			r := run(t, relay.Config{TLS: ofServer, Targets: []relay.Target{{Address: server(t, func(s *net.TCPConn) {
				_, _ = io.WriteString(s, "a beginning")
				came <- s
				<-stop
			})}}})
			defer close(stop)
			raw := &tapped{Conn: dial(t, r.addr)}
			client := tls.Client(raw, ofClient)
			b := make([]byte, 11)
			if _, err := io.ReadFull(client, b); err != nil {
				t.Error(err)
			}
			test.act(r, <-came)
			_, _ = io.Copy(io.Discard, client)
			client.Close()
			r.ended(t)
			if n := alerts(raw.heard.Bytes()); n != test.told {
				t.Errorf("the end is told %d times, want %d", n, test.told)
			}
		})
	}
}

// TestACheckOfATLSTargetShakesHands: one that cannot is down, though it accepts.
func TestACheckOfATLSTargetShakesHands(t *testing.T) {
	ofServer, ofClient := certified(t)
	inner := run(t, relay.Config{TLS: ofServer, ProxyIn: true, Targets: []relay.Target{{Address: echo(t)}}})
	other := ofClient.Clone()
	other.ServerName = "not.the.one"
	for version := 1; version <= 2; version++ {
		r := run(t, relay.Config{
			ProxyOut: version, Check: relay.Check{Every: time.Millisecond},
			Targets: []relay.Target{{Address: inner.addr, TLS: ofClient}, {Address: inner.addr, TLS: other}},
		})
		for end := time.Now().Add(10 * time.Second); r.Stats().Targets[1].Up; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the one with another name is up")
			}
		}
		if s := r.Stats().Targets; !s[0].Up || s[0].Failed != 0 {
			t.Errorf("%+v", s[0])
		}
	}
}
