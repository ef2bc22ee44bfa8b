package live_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

// secure serves a live server's Handler as somebody else's server would, by TLS, and returns a client for it.
func secure(t *testing.T, http2 bool) (s *live.Server, c *http.Client, url string) {
	t.Helper()
	s, err := live.New(live.Config{Grace: time.Hour, Record: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(s.Handler())
	srv.EnableHTTP2 = http2
	srv.StartTLS()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	c = srv.Client()
	if !http2 {
		c.Transport.(*http.Transport).TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	}
	return s, c, srv.URL
}

// protocols runs a test over TLS with HTTP/1.1, where connections are taken over, and with HTTP/2, where they cannot be.
func protocols(t *testing.T, test func(t *testing.T, s *live.Server, c *http.Client, url string, proto string)) {
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(strings.ReplaceAll(proto, "/", " "), func(t *testing.T) {
			s, c, url := secure(t, http2)
			test(t, s, c, url, proto)
		})
	}
}

// TestAStreamGoesThroughTLS publishes and watches, and each piece is with the viewer before the next is published.
func TestAStreamGoesThroughTLS(t *testing.T) {
	protocols(t, func(t *testing.T, s *live.Server, c *http.Client, url string, proto string) {
		body, pub := io.Pipe()
		answer := make(chan string, 1)
		go func() {
			r, err := c.Post(url+"/live/cam", "text/plain", body)
			if err != nil {
				answer <- err.Error()
				return
			}
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			answer <- r.Proto + " " + string(b)
			if err != nil {
				t.Error(err)
			}
		}()
		io.WriteString(pub, "first, ")
		past := untilOK(t, c, url+"/live/cam?ago=1h")
		if past.Proto != proto || past.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s %s", past.Proto, past.Header)
		}
		defer past.Body.Close()
		for _, piece := range []string{"first, ", "second, ", "third"} {
			if piece != "first, " {
				io.WriteString(pub, piece)
			}
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(past.Body, got); err != nil || string(got) != piece {
				t.Fatalf("%q, %v", got, err)
			}
		}
		pub.Close()
		if got := <-answer; got != proto+" published 20 bytes\n" {
			t.Errorf("the publisher was told %q", got)
		}
	})
}

// untilOK asks until the answer is 200: the stream has to be there, and recorded.
func untilOK(t *testing.T, c *http.Client, url string) *http.Response {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode == http.StatusOK {
			return r
		}
		r.Body.Close()
		if time.Now().After(deadline) {
			t.Fatal(r.Status)
		}
	}
}

// TestAnUploadWithALengthGoesThroughTLS has nothing to take over with HTTP/2.
func TestAnUploadWithALengthGoesThroughTLS(t *testing.T) {
	protocols(t, func(t *testing.T, s *live.Server, c *http.Client, url string, _ string) {
		r, err := c.Post(url+"/live/cam", "text/plain", strings.NewReader("with a length"))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if b, err := io.ReadAll(r.Body); err != nil || string(b) != "published 13 bytes\n" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// TestABodyCutShortIsNoWholeOneThroughTLS closes the server beneath a viewer: it must not see an end.
func TestABodyCutShortIsNoWholeOneThroughTLS(t *testing.T) {
	protocols(t, func(t *testing.T, s *live.Server, c *http.Client, url string, _ string) {
		long := strings.Repeat("x", 32<<20) // than connections hold
		post := func(body string) {
			r, err := c.Post(url+"/live/cam", "", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
		}
		post(long)
		r := untilOK(t, c, url+"/live/cam?ago=1h")
		defer r.Body.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n, err := io.Copy(io.Discard, r.Body); err == nil || n >= int64(len(long)) {
			t.Errorf("%d bytes of %d, and then %v", n, len(long), err)
		}
	})
}

// TestAViewerThatGoesAwayLeaves hangs up while nothing is being sent.
func TestAViewerThatGoesAwayLeaves(t *testing.T) {
	protocols(t, func(t *testing.T, s *live.Server, c *http.Client, url string, _ string) {
		if r, err := c.Post(url+"/live/cam", "text/plain", strings.NewReader("all there is")); err != nil {
			t.Fatal(err)
		} else {
			r.Body.Close()
		}
		untilOK(t, c, url+"/live/cam?ago=1h").Body.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for !strings.Contains(get(t, ctx, c, url+"/api/v1/streams"), `"viewers":0`) {
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func get(t *testing.T, ctx context.Context, c *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
