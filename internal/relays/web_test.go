package relays

import (
	"net"
	"net/http"
	"testing"
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
		{"DELETE", "/api/v1/connections/1"}, {"GET", "/api/v1/connections"}, {"GET", "/api/v1/relays"}, {"GET", "/metrics"},
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
