package live_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

// TestBadRequests sends what no client should, and sees that each gets its status and one line, and that the stream
// beside them is undisturbed.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := start(t, live.Config{Grace: time.Second})
	pub := dial(t, s.listenTCP("good"))
	s.until("good", "live", func(f facts) bool { return f.State == "live" })
	viewer := s.watch("good").background()
	s.untilViewers("good", 1)

	long := strings.Repeat("a", 65)
	for _, tc := range []struct {
		name, request string
		status        int
		says          string
	}{
		{"nobody ever published", "GET /live/nobody HTTP/1.1\r\n\r\n", 404, `nobody has published "nobody"`},
		{"name in capitals", "GET /live/Cam HTTP/1.1\r\n\r\n", 400, "want 1 to 64 of a-z"},
		{"name too long", "PUT /live/" + long + " HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 400, "want 1 to 64 of a-z"},
		{"name with a slash in it", "PUT /live/..%2fx HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 400, "want 1 to 64 of a-z"},
		{"name of the parent", "PUT /live/%2e%2e HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 400, "want 1 to 64 of a-z"},
		{"no such page", "GET /nothing HTTP/1.1\r\n\r\n", 404, "not found"},
		{"no such method", "DELETE /live/good HTTP/1.1\r\n\r\n", 405, "Method Not Allowed"},
		{"second publisher", "PUT /live/good HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 409, "has a publisher already"},
		{"another site's page", "POST /live/new HTTP/1.1\r\nOrigin: http://elsewhere.test\r\nContent-Length: 1\r\n\r\nx", 403, "cross-origin"},
		{"header too large", "GET /live/good HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431, "Request Header Fields Too Large"},
		{"not HTTP", "hello\r\n\r\n", 400, "Bad Request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, s.addr)
			io.WriteString(c, strings.Replace(tc.request, "\r\n", "\r\nHost: localhost\r\n", 1)) // a refusal may come first
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			body, _ := io.ReadAll(io.LimitReader(r.Body, 1000)) // a connection cut behind the answer is as good
			if r.StatusCode != tc.status || !strings.Contains(strings.ToLower(string(body)), strings.ToLower(tc.says)) || strings.Count(string(body), "\n") > 1 {
				t.Errorf("%d %q, want %d %q in one line", r.StatusCode, body, tc.status, tc.says)
			}
		})
	}
	io.WriteString(pub, "undisturbed")
	pub.Close()
	same(t, "viewer", viewer.bytes(t), []byte("undisturbed"))
}

func TestHeadTellsTheTypeAndEnds(t *testing.T) {
	s := start(t, live.Config{Grace: time.Hour})
	if status, body := s.put("clip", "--frame\r\nContent-Type: image/jpeg\r\n\r\n"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	r, err := http.Head(s.url("/live/clip"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("Content-Type"); r.StatusCode != http.StatusOK || got != "multipart/x-mixed-replace; boundary=frame" {
		t.Errorf("%d %q", r.StatusCode, got)
	}
}

func TestPublisherIsToldWhatArrived(t *testing.T) {
	s := start(t, live.Config{})
	for _, req := range []string{
		"PUT /live/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12345",
		"PUT /live/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n12345",
		"POST /live/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
	} {
		c := dial(t, s.addr)
		fmt.Fprint(c, req)
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(r, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(b) != "published 5 bytes\n" {
			t.Errorf("%q: %d %q, %v", req, resp.StatusCode, b, err)
		}
	}
}

// TestBodyCutShortIsAnError publishes less than was promised: what came is kept, and the log says what is wrong.
func TestBodyCutShortIsAnError(t *testing.T) {
	s := start(t, live.Config{})
	c := dial(t, s.addr)
	fmt.Fprint(c, "PUT /live/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
	s.until("a", "half published", func(f facts) bool { return f.BytesIn == 5 })
	c.Close()
	s.until("a", "without its publisher", func(f facts) bool { return f.State == "offline" })
	s.stop()
	_, rec := s.recorded("a")
	same(t, "recording", rec, []byte("12345"))
	if !strings.Contains(s.log.String(), "unexpected EOF") {
		t.Error("the log does not tell of it")
	}
}

func TestThePageIsServed(t *testing.T) {
	s := start(t, live.Config{})
	for path, says := range map[string]string{
		"/":               "<script",
		"/style.css":      "{",
		"/streams.js":     "/base.js",
		"/base.js":        "EventSource",
		"/icon.svg":       "<svg",
		"/healthz":        "ok",
		"/metrics":        "go_goroutines",
		"/api/v1/streams": "[]",
	} {
		if body := string(s.get(path)); !strings.Contains(body, says) {
			t.Errorf("%s does not contain %q", path, says)
		}
	}
	r, err := http.Get(s.url("/api/v1/events"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	line, err := bufio.NewReader(r.Body).ReadString('\n')
	if err != nil || line != "event: streams\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestTheDemoIsMotionJPEG watches the built-in stream from a join point on.
func TestTheDemoIsMotionJPEG(t *testing.T) {
	t.Parallel()
	backings(t, func(t *testing.T, cfg live.Config) {
		s := start(t, cfg)
		if err := s.StartDemo("demo"); err != nil {
			t.Fatal(err)
		}
		s.until("demo", "under way", func(f facts) bool { return f.BytesIn > 0 })
		r, err := s.watch("demo").response()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		checkMotionJPEG(t, r.Header.Get("Content-Type"), r.Body, 3)
	})
}

func TestASlowHeaderIsAnswered(t *testing.T) {
	s := start(t, live.Config{HeaderTimeout: 50 * time.Millisecond})
	c := dial(t, s.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n") // and no more
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusRequestTimeout || strings.Count(string(b), "\n") != 1 {
		t.Errorf("%d %q, %v", r.StatusCode, b, err)
	}

	// A handler that takes its time is none of the header's: the event stream goes on past the timeout.
	r, err = http.Get(s.url("/api/v1/events"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	for events := 0; events < 2; {
		if !lines.Scan() {
			t.Fatalf("the event stream ended after %d: %v", events, lines.Err())
		}
		if strings.HasPrefix(lines.Text(), "event:") {
			events++
		}
	}
}

// TestNoPageTakesTheServerForItsOwn by having its name resolve to loopback: neither does it learn or change anything.
func TestNoPageTakesTheServerForItsOwn(t *testing.T) {
	s := start(t, live.Config{Hosts: []string{"cams.test"}})
	for _, request := range []string{"GET / ", "GET /api/v1/streams ", "GET /metrics ", "GET /live/a ", "PUT /live/a "} {
		for host, refused := range map[string]bool{"evil.example:8080": true, "cams.test": false, s.addr: false} {
			c := dial(t, s.addr)
			fmt.Fprintf(c, "%sHTTP/1.1\r\nHost: %s\r\nOrigin: http://%[2]s\r\nContent-Length: 0\r\n\r\n", request, host)
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if got := r.StatusCode == http.StatusMisdirectedRequest; got != refused {
				t.Errorf("%sfor %s: %d", request, host, r.StatusCode)
			}
		}
	}
}
