package live_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/live"
)

// slowParts of 64 KiB are several times what sockets and a ring of 4 MiB hold.
const slowParts = 320

// slowCase is a viewer of a stream of slowParts that reads nothing before all of it is published.
type slowCase struct {
	cfg      live.Config
	recorded bool
	parts    bool // the stream is a multipart one, and has join points
}

// part is one of a stream of parts, 64 KiB with its number in it.
func part(i int) []byte {
	b := fmt.Appendf(nil, "--frame\r\nContent-Type: text/plain\r\n\r\n%06d", i)
	return append(append(b, bytes.Repeat([]byte("."), 64<<10-len(b)-2)...), "\r\n"...)
}

// run returns what was published, what the viewer got of it, and the server, which is still up.
func (c slowCase) run(t *testing.T) (want, got []byte, s *server, err error) {
	c.cfg.Ring, c.cfg.Grace, c.cfg.Drain = 4<<20, time.Hour, 20*time.Second
	if c.recorded {
		s = start(t, c.cfg)
	} else {
		s = startAs(t, c.cfg)
	}
	s.announce("cam")
	w := s.watch("cam") // before anybody can know what the stream is
	if err := w.conn.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	s.untilViewers("cam", 1)
	pub := dial(t, s.listenTCP("cam"))
	for i := range slowParts {
		piece := part(i)
		if !c.parts {
			piece = bytes.Repeat([]byte{byte(i), 0xff, 0xfe, 0}, 16<<10)
		}
		if _, err := pub.Write(piece); err != nil {
			t.Fatal(err)
		}
		want = append(want, piece...)
	}
	pub.Close()
	s.until("cam", "published", func(f facts) bool { return f.BytesIn == int64(len(want)) && f.State == "waiting" })
	reading := w.background()
	go s.stop()
	<-reading.done
	return want, reading.b, s, reading.err
}

// TestASlowViewerCatchesUpFromTheRecording leaves the choice to the server, and says what to do.
func TestASlowViewerCatchesUpFromTheRecording(t *testing.T) {
	t.Parallel()
	backings(t, func(t *testing.T, cfg live.Config) {
		for name, policy := range map[string]hub.Policy{"auto": hub.Auto, "catchup": hub.CatchUp} {
			t.Run(name, func(t *testing.T) {
				cfg := cfg
				cfg.OnSlow = policy
				want, got, _, err := slowCase{cfg: cfg, recorded: true}.run(t)
				if err != nil {
					t.Error(err)
				}
				same(t, "slow viewer", got, want)
			})
		}
	})
}

// TestASlowViewerSkipsToAPart is without a recording: what the viewer gets is whole parts, the last one among them, and
// the log says how much it lacks.
func TestASlowViewerSkipsToAPart(t *testing.T) {
	t.Parallel()
	backings(t, func(t *testing.T, cfg live.Config) {
		want, got, s, err := slowCase{cfg: cfg, parts: true}.run(t)
		if err != nil {
			t.Error(err)
		}
		if len(got)%len(part(0)) != 0 || len(got) >= len(want) || !bytes.HasSuffix(got, part(slowParts-1)) {
			t.Fatalf("%d bytes of %d", len(got), len(want))
		}
		var first int // it began at the newest part of what came first
		if _, err := fmt.Sscanf(string(got[39:45]), "%d", &first); err != nil {
			t.Fatal(err)
		}
		for rest := got; len(rest) > 0; rest = rest[len(part(0)):] {
			var i int
			if _, err := fmt.Sscanf(string(rest[39:45]), "%d", &i); err != nil || !bytes.HasPrefix(rest, part(i)) {
				t.Fatalf("no whole part: %q, %v", rest[:50], err)
			}
		}
		s.stop()
		told := fmt.Sprintf("skipped=%d ", len(want)-len(got)-first*len(part(0)))
		if !strings.Contains(s.log.String(), told) {
			t.Errorf("the log does not tell %q", told)
		}
	})
}

// TestASlowViewerOfBytesIsCut is without a recording and without join points.
func TestASlowViewerOfBytesIsCut(t *testing.T) {
	t.Parallel()
	backings(t, func(t *testing.T, cfg live.Config) {
		want, got, s, err := slowCase{cfg: cfg}.run(t)
		if err == nil || !bytes.HasPrefix(want, got) || len(got) == len(want) {
			t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
		}
		s.stop()
		if !strings.Contains(s.log.String(), hub.ErrTooSlow.Error()) {
			t.Error("the log does not tell why")
		}
	})
}

// TestAViewerThatIsTooLateIsCut has a limit in bytes, and one in time, before the ring's.
func TestAViewerThatIsTooLateIsCut(t *testing.T) {
	for name, limits := range map[string]hub.Limits{
		"bytes": {Bytes: 12 << 20}, "time": {Time: 50 * time.Millisecond}, "stall": {Stall: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, live.Config{Limits: limits, Grace: time.Hour})
			s.announce("cam")
			s.watch("cam")
			s.untilViewers("cam", 1)
			pub := dial(t, s.listenTCP("cam"))
			defer keepWriting(pub)()
			s.untilViewers("cam", 0)
			want := hub.ErrTooSlow
			if name == "stall" {
				want = hub.ErrStalled
			}
			if !strings.Contains(s.log.String(), want.Error()) {
				t.Error("the log does not tell why")
			}
		})
	}
}

// keepWriting writes at some 100 MB/s until it is stopped.
func keepWriting(c net.Conn) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
	}()
	return func() { close(quit); <-done }
}

// TestTooManyViewersAreToldToComeBack, a hundred times, and as soon as one has left the next is let in.
func TestTooManyViewersAreToldToComeBack(t *testing.T) {
	s := start(t, live.Config{MaxViewers: 2, Grace: time.Hour})
	s.announce("cam")
	s.announce("other")
	in := s.watch("cam")
	s.watch("other")
	s.untilViewers("cam", 1)
	s.untilViewers("other", 1)
	for i := range 100 {
		w := s.watch("cam")
		r, err := w.response()
		if err != nil || r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Fatalf("time %d: %v, %v", i+1, r, err)
		}
		w.conn.Close()
		in.conn.Close()
		s.untilViewers("cam", 0)
		in = s.watch("cam")
		s.untilViewers("cam", 1)
	}
	if n := strings.Count(s.log.String(), "viewer refused"); n != 100 {
		t.Errorf("the log tells of %d that were refused", n)
	}
}
