package relays

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestNoPageTakesTheRelaysForItsOwn by having its name resolve to loopback, where it could end connections.
func TestNoPageTakesTheRelaysForItsOwn(t *testing.T) {
	target, here, at := echo(t), free(t), free(t)
	_, apply := newSet(t)
	c := config(t, target, "one", here)
	c.HTTP = at
	apply(c)
	answered := talk(t, here)
	if !answered() {
		t.Fatal("is not forwarded")
	}
	ask := func(method, path, host string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Origin", "http://"+host)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for _, request := range [][2]string{
		{"DELETE", "/api/v1/connections/1"},
		{"GET", "/api/v1/connections"},
		{"GET", "/api/v1/relays"},
		{"GET", "/metrics"},
		{"GET", "/"},
	} {
		if code := ask(request[0], request[1], "evil.example:7190"); code != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", request, code)
		}
	}
	if !answered() {
		t.Error("the connection was ended")
	}
	if code := ask("GET", "/api/v1/connections", at); code != http.StatusOK {
		t.Errorf("by its address it is %d", code)
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	if code := ask("GET", "/", "localhost:"+port); code != http.StatusOK {
		t.Errorf("as localhost it is %d", code)
	}
}

// oneConn is a listener that gives one connection, and then waits for its end.
type oneConn struct {
	conns chan net.Conn
	over  chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	close(l.over)
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestAClientThatTakesNoAnswerIsLeft after a while, but one that takes the events stays.
func TestAClientThatTakesNoAnswerIsLeft(t *testing.T) {
	for path, reads := range map[string]bool{
		"/metrics": false, "/api/v1/relays": false, "/": false, "/api/v1/events": false, "/api/v1/events?": true,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := NewSet(quiet(), io.Discard)
			defer s.Shutdown()
			l := &oneConn{make(chan net.Conn, 1), make(chan struct{})}
			client, server := net.Pipe()
			l.conns <- server
			s.web.serve(l, "pipe")
			if _, err := io.WriteString(client, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if reads {
				go func() { _, _ = io.Copy(io.Discard, client) }()
			} else if _, err := bufio.NewReaderSize(client, 16).ReadByte(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * webPatience)
			_ = client.SetWriteDeadline(time.Now().Add(time.Second))
			_, err := client.Write([]byte("x"))
			if gone := err == io.ErrClosedPipe; gone == reads {
				t.Errorf("%s: %v", path, err)
			}
			client.Close()
		})
	}
}

// TestWhoTellsTheWorldIsWarned: there is no password, and whoever gets there ends connections.
func TestWhoTellsTheWorldIsWarned(t *testing.T) {
	for at, warned := range map[string]bool{"127.0.0.1:0": false, "[::1]:0": false, "0.0.0.0:0": true, ":0": true} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Logf("%s: %v", at, err) // where there is no IPv6
			continue
		}
		var log bytes.Buffer
		s := NewSet(slog.New(slog.NewTextHandler(&log, nil)), io.Discard)
		s.web.serve(l, at)
		s.Shutdown()
		if got := strings.Contains(log.String(), "level=WARN msg=\"whoever reaches this address"); got != warned {
			t.Errorf("%s:\n%s", at, &log)
		}
	}
}
