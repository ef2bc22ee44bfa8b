package live_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

// sum is of a stream's bytes by path.
func sum(by map[string]int64) (n int64) {
	for b := range maps.Values(by) {
		n += b
	}
	return n
}

// TestWhoIsSlowIsTold has a viewer that reads nothing beside one that reads everything. While it lasts the API, the
// page's events and the metrics tell by how much and for how long, and what will become of it.
func TestWhoIsSlowIsTold(t *testing.T) {
	t.Parallel()
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Ring, cfg.Grace, cfg.Drain, cfg.Memory = 4<<20, time.Hour, time.Minute, 64<<20
		s := start(t, cfg)
		s.announce("cam")
		slow := s.watch("cam")
		if err := slow.conn.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		s.untilViewers("cam", 1)
		quick := s.watch("cam").background()
		s.untilViewers("cam", 2)
		pub := dial(t, s.listenTCP("cam"))
		const most = 24 << 20
		if _, err := pub.Write(bytes.Repeat([]byte{1, 2, 3, 0xff}, most/4)); err != nil {
			t.Fatal(err)
		}
		name := "viewer " + slow.conn.LocalAddr().String()
		var e edge
		f := s.until("cam", "with one slow viewer that reads the recording", func(f facts) bool {
			others := int64(0)
			for _, g := range f.Edges {
				if g.To == name {
					e = g
				} else if strings.HasPrefix(g.To, "viewer ") {
					others = g.Bytes
				}
			}
			still := sum(e.By) == e.Bytes && sum(f.By) == f.BytesOut // each is counted in turn while it moves
			return f.BytesIn == most && others > most && e.Archived && e.Behind > 0 && e.Stalls > 0 && still
		})
		if f.Slow < 1 || e.Lag < 4<<20 || e.Lag > most || e.Slow < e.Behind/2 || e.Slow <= 0 || e.Policy != "catchup" ||
			e.Calls == 0 {
			t.Errorf("told of %d slow sinks, and of this: %+v", f.Slow, e)
		}
		if f.Policy != "auto" || f.Calls < e.Calls {
			t.Errorf("told of the stream: %+v", f)
		}
		m := s.metrics()
		for series, least := range map[string]float64{
			`penstock_stream_slow_sinks{stream="cam"}`:         1,
			`penstock_stream_lag_bytes_max{stream="cam"}`:      4 << 20,
			`penstock_stream_lag_seconds_max{stream="cam"}`:    e.Behind,
			`penstock_stream_stalls_total{stream="cam"}`:       1,
			`penstock_stream_system_calls_total{stream="cam"}`: 1,
			`penstock_memory_bytes`:                            0,
			`penstock_memory_limit_bytes`:                      64 << 20,
		} {
			if v, ok := m[series]; !ok || v < least {
				t.Errorf("%s is %v, %v; want %v at least", series, v, ok, least)
			}
		}
		got := s.firstEvent("streams")
		if !strings.Contains(got, name) || strings.Index(got, name) > strings.LastIndex(got, `"to":"viewer `) {
			t.Errorf("the page is not told of the slowest first: %s", got)
		}
		if got := s.firstEvent("server"); !strings.Contains(got, `"memory_limit_bytes":67108864,"viewers":2,`) {
			t.Errorf("the page is told of the server: %s", got)
		}

		late := slow.background()
		pub.Close()
		s.until("cam", "without its publisher", func(f facts) bool { return f.State == "waiting" })
		go s.stop()
		same(t, "slow viewer", late.bytes(t), quick.bytes(t))
	})
}

// TestCountersNeverGoBack ends a stream and begins it anew, twice.
func TestCountersNeverGoBack(t *testing.T) {
	s := start(t, live.Config{Grace: 100 * time.Millisecond})
	var before facts
	for i := range int64(3) {
		s.announce("cam")
		viewer := s.watch("cam").background()
		s.untilViewers("cam", 1)
		s.put("cam", "0123456789")
		viewer.bytes(t)
		f := s.until("cam", "ended", func(f facts) bool { return f.State == "offline" && f.Viewers == 0 })
		if f.BytesIn != 10*(i+1) || f.BytesOut <= before.BytesOut || sum(f.By) != f.BytesOut || f.Calls <= before.Calls ||
			f.Left["end of the stream"] != i+1 || len(f.Left) != 1 {
			t.Errorf("life %d: %+v", i+1, f)
		}
		before = f
	}
	m := s.metrics()
	if n := m[`penstock_stream_viewer_leaves_total{reason="end",stream="cam"}`]; n != 3 {
		t.Errorf("%v leaves in the metrics", n)
	}
}

// TestThePageIsToldOfFiftyViewers at most, and how many there are besides; the API tells of all.
func TestThePageIsToldOfFiftyViewers(t *testing.T) {
	s := start(t, live.Config{Grace: time.Hour})
	s.announce("cam")
	for range 55 {
		s.watch("cam")
	}
	s.untilViewers("cam", 55)
	var page []facts
	if err := json.Unmarshal([]byte(s.firstEvent("streams")), &page); err != nil {
		t.Fatal(err)
	}
	if f := page[0]; len(f.Edges) != 1+50 || f.EdgesOmitted != 5 || f.Viewers != 55 { // the recording's, too
		t.Errorf("%d edges, %d omitted, %d viewers", len(f.Edges), f.EdgesOmitted, f.Viewers)
	}
	if f := s.until("cam", "told of", func(facts) bool { return true }); len(f.Edges) != 1+55 || f.EdgesOmitted != 0 {
		t.Errorf("%d edges, %d omitted", len(f.Edges), f.EdgesOmitted)
	}
	for series := range s.metrics() {
		if strings.Contains(series, "viewer ") || strings.Contains(series, "127.0.0.1") {
			t.Errorf("a series of one viewer: %s", series)
		}
	}
}

// metrics returns the server's series and their values.
func (s *server) metrics() map[string]float64 {
	s.t.Helper()
	all := make(map[string]float64)
	for _, m := range regexp.MustCompile(`(?m)^([^#\n]+) (\S+)$`).FindAllStringSubmatch(string(s.get("/metrics")), -1) {
		var v float64
		if _, err := fmt.Sscan(m[2], &v); err != nil {
			s.t.Fatalf("%q: %v", m[0], err)
		}
		all[m[1]] = v
	}
	return all
}

// firstEvent returns the data of the first event of that name that the page is sent.
func (s *server) firstEvent(name string) string {
	s.t.Helper()
	r, err := http.Get(s.url("/api/v1/events"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	var got strings.Builder
	for b := make([]byte, 4096); ; {
		n, err := r.Body.Read(b)
		got.Write(b[:n])
		if _, rest, ok := strings.Cut(got.String(), "event: "+name+"\ndata: "); ok {
			if data, _, ok := strings.Cut(rest, "\n\n"); ok {
				return data
			}
		}
		if err != nil {
			s.t.Fatalf("no event %q: %v", name, err)
		}
	}
}
