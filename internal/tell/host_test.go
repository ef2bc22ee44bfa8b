package tell

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOnLoopbackAServerIsCalledByItsOwnNames, and not by that of a page which has its name resolve to here.
func TestOnLoopbackAServerIsCalledByItsOwnNames(t *testing.T) {
	h := OwnHost(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}), "Relay.test", "")
	for _, test := range []struct {
		host, at string
		own      bool
	}{
		{"evil.example:7190", "127.0.0.1", false},
		{"evil.example", "127.0.0.1", false},
		{"evil.example:7190", "127.3.2.1", false},
		{"evil.example:7190", "::1", false},
		{"evil.example:7190", "::ffff:127.0.0.1", false},
		{"127.0.0.1.evil.example", "127.0.0.1", false},
		{"localhost.evil.example", "127.0.0.1", false},
		{"notlocalhost", "127.0.0.1", false},
		{"evil.example\x1b[2J", "127.0.0.1", false},
		{"[evil.example]:1", "127.0.0.1", false},
		{strings.Repeat("x", 1<<10), "127.0.0.1", false},

		{"127.0.0.1:7190", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"192.0.2.1:1", "127.0.0.1", true},
		{"[::1]:7190", "::1", true},
		{"[::1]", "::1", true},
		{"localhost:7190", "127.0.0.1", true},
		{"LocalHost.", "127.0.0.1", true},
		{"app.localhost:7190", "127.0.0.1", true},
		{"relay.test:7190", "127.0.0.1", true},
		{"", "127.0.0.1", true},
		{"evil.example", "192.0.2.1", true},
		{"relay.intern:7190", "2001:db8::1", true},
	} {
		r := httptest.NewRequest("DELETE", "/", nil)
		at := &net.TCPAddr{IP: net.ParseIP(test.at), Port: 7190}
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, at))
		r.Host = test.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := http.StatusMisdirectedRequest
		if test.own {
			want = http.StatusOK
		}
		if w.Code != want {
			t.Errorf("%q at %s: %d, want %d", test.host, test.at, w.Code, want)
		}
		if text := w.Body.String(); !test.own && (strings.Count(text, "\n") != 1 || len(text) > 300 || strings.Contains(text, "\x1b")) {
			t.Errorf("%q: says %q", test.host, text)
		}
	}
}

// TestAUnixSocketIsOutOfReachOfPages, whatever it is called by.
func TestAUnixSocketIsOutOfReachOfPages(t *testing.T) {
	h := OwnHost(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	ctx := context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/x", Net: "unix"})
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r.WithContext(ctx)); w.Code != http.StatusOK {
		t.Error(w.Code, w.Body)
	}
}
