package live_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

// TestAViewerMayBeginInThePast begins before the stream did, which is its beginning.
func TestAViewerMayBeginInThePast(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Grace = time.Hour
		s := start(t, cfg)
		s.announce("cam")
		if r, err := s.watch("cam?ago=1s").response(); err != nil || r.StatusCode != http.StatusNotFound {
			t.Errorf("before the first byte: %v, %v", r, err)
		}
		if status, body := s.put("cam", "the past, "); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		s.until("cam", "recorded", func(f facts) bool { return f.Recording.Bytes == 10 })
		past, now := s.watch("cam?ago=1h").background(), s.watch("cam?ago=0s").background()
		s.untilViewers("cam", 2)
		s.put("cam", "and the present")
		s.stop()
		same(t, "viewer of the past", past.bytes(t), []byte("the past, and the present"))
		same(t, "viewer of the present", now.bytes(t), []byte("and the present"))
	})
}

func TestThereIsNoPastWithoutARecording(t *testing.T) {
	s := startAs(t, live.Config{Grace: time.Hour})
	s.announce("cam")
	for query, want := range map[string]struct {
		status int
		says   string
	}{
		"ago=30s":  {http.StatusNotFound, "the stream is not recorded"},
		"ago=soon": {http.StatusBadRequest, `ago="soon": want a duration such as 30s`},
		"ago=-30s": {http.StatusBadRequest, `ago="-30s": want a duration such as 30s`},
	} {
		r, err := s.watch("cam?" + query).response()
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1000))
		if r.StatusCode != want.status || !strings.Contains(string(body), want.says) {
			t.Errorf("%s: %s %q", query, r.Status, body)
		}
	}
}
