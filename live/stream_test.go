package live_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/live"
)

// film makes a file of at least 20 s of MPEG-TS.
func film(t *testing.T) string {
	const video = "testsrc2=size=640x360:rate=25:duration=21"
	const audio = "sine=frequency=440:duration=21"
	path := filepath.Join(t.TempDir(), "film.ts")
	ffmpeg(t, "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", audio,
		"-c:v", "mpeg2video", "-b:v", "6M", "-minrate", "6M", "-maxrate", "6M", "-bufsize", "1M", "-c:a", "mp2", path)()
	return path
}

// ffmpeg runs it, and returns what waits for its end.
func ffmpeg(t *testing.T, args ...string) (wait func()) {
	t.Helper()
	args = append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, args...)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("ffmpeg: %v", err)
		}
	}
}

// TestRealStream publishes what ffmpeg makes, to five viewers from the start and three that come late.
func TestRealStream(t *testing.T) {
	t.Parallel()
	needs(t, "ffmpeg", "ffprobe")
	film := film(t)
	backings(t, func(t *testing.T, cfg live.Config) {
		t.Parallel()
		for _, by := range []string{"TCP", "HTTP"} {
			for _, realTime := range []bool{false, true} {
				name := map[bool]string{false: "as fast as it goes", true: "in real time"}[realTime]
				t.Run(by+" "+name, func(t *testing.T) {
					if realTime && testing.Short() {
						t.Skip("takes 21 s by its nature: not with -short")
					}
					t.Parallel()
					cfg := cfg
					if !realTime {
						cfg.OnSlow = hub.Block
					}
					cfg.Grace, cfg.Drain = time.Hour, time.Minute // the test says when it ends
					realStream(t, cfg, film, by, realTime)
				})
			}
		}
	})
}

func realStream(t *testing.T, cfg live.Config, film, by string, realTime bool) {
	s := start(t, cfg)
	s.announce("cam")
	var early, late []*watching

	// As fast as it goes, the first viewer holds everything up, so that the late ones do come in the middle.
	first := s.watch("cam")
	if err := first.conn.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		early = append(early, s.watch("cam").background())
	}
	s.untilViewers("cam", 5)

	args := []string{"-i", film, "-c", "copy", "-f", "mpegts"}
	if realTime {
		args = append([]string{"-re"}, args...)
	}
	if by == "TCP" {
		args = append(args, "tcp://"+s.listenTCP("cam"))
	} else {
		args = append(args, "-method", "PUT", s.url("/live/cam"))
	}
	published := ffmpeg(t, args...)
	for i := range 3 {
		enough := int64(i+1) << 18
		s.until("cam", fmt.Sprintf("past %d bytes", enough), func(f facts) bool { return f.BytesIn > enough })
		late = append(late, s.watch("cam").background())
		s.untilViewers("cam", 6+i)
	}
	early = append(early, first.background())
	published()
	s.until("cam", "without its publisher", func(f facts) bool { return f.State == "waiting" })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.stop()
	}()

	got := make([][]byte, len(early))
	for i, w := range early {
		got[i] = w.bytes(t)
	}
	<-ended
	path, rec := s.recorded("cam")
	if filepath.Ext(path) != ".ts" || len(rec) < 10<<20 {
		t.Errorf("recording %s has %d bytes", filepath.Base(path), len(rec))
	}
	for i := range got {
		if n := behindTables(rec, got[i]); n < len(rec)-len(rec)/100 {
			t.Errorf("early viewer %d: %d bytes, of which %d are an end of the recording", i, len(got[i]), n)
		}
	}
	for i, w := range late {
		if b := w.bytes(t); behindTables(rec, b) == 0 {
			t.Errorf("late viewer %d: %d bytes are no end of the recording", i, len(b))
		}
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "format=format_name,duration", "-of", "csv=p=0", path).CombinedOutput()
	if err != nil || !regexp.MustCompile(`^mpegts,2[01]\.\d+\s*$`).Match(out) {
		t.Errorf("ffprobe: %v: %s", err, out)
	}
}

// behindTables returns how many bytes at the end of a transport stream are an end of the recording, behind at most a few
// packets that stand in front of a join point; 0 if that is not how it is made.
func behindTables(rec, b []byte) int {
	const packet, tables = 188, 8
	for i := range tables {
		if n := i * packet; n < len(b) && bytes.HasSuffix(rec, b[n:]) {
			return len(b) - n
		}
	}
	return 0
}

// TestANewPublisherTakesOver has three publishers, each of which comes before the one before has gone.
func TestANewPublisherTakesOver(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.TakeOver, cfg.Grace = true, 100*time.Millisecond
		s := start(t, cfg)
		first := dial(t, s.listenTCP("cam"))
		io.WriteString(first, "first, ")
		s.until("cam", "recorded", func(f facts) bool { return f.Recording.Bytes == 7 })
		viewer := s.watch("cam?ago=1h").background()
		s.untilViewers("cam", 1)

		second := dial(t, s.addr)
		fmt.Fprint(second, "PUT /live/cam HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nsecond, ")
		if b, err := io.ReadAll(first); len(b) > 0 {
			t.Errorf("the first publisher: %q, %v", b, err)
		}
		s.until("cam", "past the second", func(f facts) bool { return f.BytesIn == 15 && f.State == "live" })
		if status, body := s.put("cam", "third"); status != http.StatusOK {
			t.Errorf("the third publisher: %d %s", status, body)
		}
		answer, err := io.ReadAll(second)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 409 ") || !strings.Contains(string(answer), "another publisher has taken the stream over") {
			t.Errorf("the second publisher: %q, %v", answer, err)
		}
		s.until("cam", "ended", func(f facts) bool { return f.State == "offline" })
		same(t, "viewer", viewer.bytes(t), []byte("first, second, third"))
		_, rec := s.recorded("cam")
		same(t, "recording", rec, []byte("first, second, third"))
	})
}

// TestStalledViewerDisturbsNobody is lock-step: nineteen viewers confirm each piece before the next is published, so
// that only the stalled one can fall behind. The throughput beside a run without it is reported.
func TestStalledViewerDisturbsNobody(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Ring = 8 << 20
		alone := isolation(t, cfg, false)
		beside := isolation(t, cfg, true)
		t.Logf("nineteen viewers: %v alone, %v beside a stalled one: %.3f of the throughput", alone, beside, alone.Seconds()/beside.Seconds())
	})
}

func isolation(t *testing.T, cfg live.Config, stall bool) time.Duration {
	const piece, pieces, others = 256 << 10, 96, 19
	cfg.OnSlow = hub.Disconnect
	cfg.Grace = time.Nanosecond
	s := start(t, cfg)
	pub := dial(t, s.listenTCP("cam"))
	s.until("cam", "published", func(f facts) bool { return f.State == "live" })
	if stall {
		s.watch("cam")
	}
	var viewers []*watcher
	for range others {
		viewers = append(viewers, s.watch("cam"))
	}
	n := others
	if stall {
		n++
	}
	s.untilViewers("cam", n)
	want := bytes.Repeat([]byte("penstock"), piece/8)
	body := make([]io.Reader, others)
	got := make([]byte, piece)
	began := time.Now()
	for i := range pieces {
		copy(want, fmt.Sprintf("%08d", i))
		if _, err := pub.Write(want); err != nil {
			t.Fatal(err)
		}
		for j, v := range viewers {
			if body[j] == nil {
				r, err := v.response()
				if err != nil {
					t.Fatal(err)
				}
				body[j] = r.Body
			}
			if _, err := io.ReadFull(body[j], got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("viewer %d, piece %d: %v", j, i, err)
			}
		}
	}
	took := time.Since(began)
	pub.Close()
	for j := range viewers {
		if rest, err := io.ReadAll(body[j]); err != nil || len(rest) > 0 {
			t.Errorf("viewer %d: %d bytes too many, %v", j, len(rest), err)
		}
	}
	if _, rec := s.recorded("cam"); len(rec) != piece*pieces {
		t.Errorf("recording has %d bytes", len(rec))
	}
	if stall != strings.Contains(s.log.String(), hub.ErrTooSlow.Error()) {
		t.Error("the log does not tell who was too slow")
	}
	return took
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestViewersOutliveAPublishersBlip(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Grace = 200 * time.Millisecond
		s := start(t, cfg)
		addr := s.listenTCP("cam")
		pub := dial(t, addr)
		s.until("cam", "live", func(f facts) bool { return f.State == "live" })
		viewer := s.watch("cam").background()
		s.untilViewers("cam", 1)
		io.WriteString(pub, "before ")
		s.until("cam", "past the first words", func(f facts) bool { return f.BytesIn == 7 })
		pub.(*net.TCPConn).SetLinger(0) // killed
		pub.Close()
		s.until("cam", "waiting", func(f facts) bool { return f.State == "waiting" && f.Viewers == 1 })
		if status, body := s.put("cam", "after"); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		same(t, "viewer", viewer.bytes(t), []byte("before after"))
		_, rec := s.recorded("cam")
		same(t, "recording", rec, []byte("before after"))

		w := s.watch("cam")
		if r, err := w.response(); err != nil || r.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("watching after the grace: %v, %v", r, err)
		}
	})
}

func TestASecondPublisherIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, live.Config{Grace: time.Nanosecond})
	addr := s.listenTCP("cam")
	pub := dial(t, addr)
	s.until("cam", "live", func(f facts) bool { return f.State == "live" })

	if status, body := s.put("cam", "me too"); status != http.StatusConflict || !strings.Contains(body, "has a publisher already") {
		t.Errorf("by HTTP: %d %s", status, body)
	}
	if b, err := io.ReadAll(dial(t, addr)); err != nil || len(b) > 0 {
		t.Errorf("by TCP: not closed: %q, %v", b, err)
	}
	if !strings.Contains(s.log.String(), "publisher refused") {
		t.Error("the refusal is not in the log")
	}
	viewer := s.watch("cam").background()
	s.untilViewers("cam", 1)
	io.WriteString(pub, "undisturbed")
	pub.Close()
	same(t, "viewer", viewer.bytes(t), []byte("undisturbed"))
}

// TestTheWayIsTold asks the API which way the bytes went, by each way of publishing.
func TestTheWayIsTold(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		noSplice bool
		chunked  bool
		hub      string // path and why of the intake
		viewers  []string
	}{
		{"length", false, false, "splice: TCP socket to kernel pipe", []string{"splice", "tee+splice"}},
		{"chunked", false, true, "read/write: copied: chunked HTTP framing", []string{"splice", "tee+splice"}},
		{"length, no splice", true, false, "pages: TCP socket read into pages of a memory pipe: splice is off", []string{"pages"}},
		{"chunked, no splice", true, true, "pages: copied: chunked HTTP framing: splice is off", []string{"pages"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, live.Config{NoSplice: tc.noSplice, Grace: time.Hour})
			if !tc.noSplice && !spliceHere() {
				t.Skip("no splice on this system, or no pipes left in this user's budget")
			}
			body, w := io.Pipe()
			req, err := http.NewRequest(http.MethodPost, s.url("/live/x"), body)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.chunked {
				req.ContentLength = 8
			}
			answered := make(chan error, 1)
			go func() {
				r, err := http.DefaultClient.Do(req)
				if err == nil {
					r.Body.Close()
				}
				answered <- err
			}()
			io.WriteString(w, "1234")
			s.until("x", "past 4 bytes", func(f facts) bool { return f.BytesIn == 4 })
			a, b := s.watch("x").background(), s.watch("x").background()
			s.untilViewers("x", 2)
			io.WriteString(w, "5678")
			f := s.until("x", "delivered", func(f facts) bool { return f.BytesOut > 8 && f.Viewers == 2 })
			w.Close()
			if err := <-answered; err != nil {
				t.Error(err)
			}
			go s.stop()
			same(t, "viewer", a.bytes(t), []byte("5678"))
			same(t, "viewer", b.bytes(t), []byte("5678"))
			for _, e := range f.Edges {
				switch {
				case e.To == "hub" && e.Path+": "+e.Why != tc.hub:
					t.Errorf("hub: %s: %s, want %s", e.Path, e.Why, tc.hub)
				case strings.HasPrefix(e.To, "viewer") && e.Path != "" && !strings.Contains(" "+strings.Join(tc.viewers, " ")+" ", " "+e.Path+" "):
					t.Errorf("%s: %s: %s", e.To, e.Path, e.Why)
				}
			}
		})
	}
}

// TestADiskErrorMakesAGap records to a directory that has become a file, and becomes one again.
func TestADiskErrorMakesAGap(t *testing.T) {
	t.Parallel()
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Grace = time.Minute
		s := start(t, cfg)
		inTheWay := filepath.Join(s.record, "cam")
		if err := os.WriteFile(inTheWay, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		s.announce("cam")
		viewer := s.watch("cam").background()
		s.untilViewers("cam", 1)
		lost := strings.Repeat("all of it ", 100_000)
		if status, body := s.put("cam", lost); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
		f := s.until("cam", "told of the gap", func(f facts) bool { return f.Recording.GapBytes == int64(len(lost)) })
		if f.Recording.Gaps != 1 || f.Recording.GapSince == nil || !strings.Contains(f.Recording.Error, "not a directory") {
			t.Errorf("the gap is told as %+v", f.Recording)
		}
		if m := string(s.get("/metrics")); !strings.Contains(m, `penstock_stream_recording_gap{stream="cam"} 1`) {
			t.Error("the metrics do not tell of the gap")
		}

		if err := os.Remove(inTheWay); err != nil {
			t.Fatal(err)
		}
		s.untilRecordedAgain("cam")
		s.stop()
		all := viewer.bytes(t)
		if _, rec := s.segments("cam"); len(rec) == 0 || !bytes.HasSuffix(all, rec) || !bytes.HasPrefix(all, []byte(lost)) {
			t.Errorf("%d bytes recorded are no end of the %d that the viewer got", len(rec), len(all))
		}
	})
}

// untilRecordedAgain publishes until the recording that is in a gap goes on. It tries again on its own, and nothing
// outside says when.
func (s *server) untilRecordedAgain(name string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		s.put(name, "is it on the disk again? ")
		f := s.until(name, "known", func(facts) bool { return true })
		if f.Recording.GapSince == nil && f.Recording.Segments > 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the recording did not resume: %+v", f.Recording)
		}
	}
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Grace = time.Hour
		s := start(t, cfg)
		pub := dial(t, s.listenTCP("cam"))
		s.until("cam", "live", func(f facts) bool { return f.State == "live" })
		w := s.watch("cam")
		s.untilViewers("cam", 1)
		want := bytes.Repeat([]byte("in flight "), 200_000)
		if _, err := pub.Write(want); err != nil {
			t.Fatal(err)
		}
		s.until("cam", "published", func(f facts) bool { return f.BytesIn == int64(len(want)) })
		viewer := w.background() // it had not read a byte so far
		s.stop()
		same(t, "viewer", viewer.bytes(t), want)
		_, rec := s.recorded("cam")
		same(t, "recording", rec, want)
	})
}

// TestABodyCutShortEndsWithAReset shuts down beneath a viewer that does not read: at the end of the drain it is cut, and
// can tell.
func TestABodyCutShortEndsWithAReset(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Drain = 50 * time.Millisecond
		cfg.Grace = time.Hour
		s := start(t, cfg)
		s.announce("cam")
		w := s.watch("cam")
		if err := w.conn.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		s.untilViewers("cam", 1)
		const more = 16 << 20 // than sockets hold
		if status, body := s.put("cam", strings.Repeat("x", more)); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		s.stop()
		b, err := w.body()
		if err == nil || len(b) >= more {
			t.Errorf("%d bytes of %d, and then %v", len(b), more, err)
		}
	})
}

// TestAnUploadWithAnEndIsFinishedAtShutdown stops the server in the middle of one.
func TestAnUploadWithAnEndIsFinishedAtShutdown(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Drain = 20 * time.Second
		s := start(t, cfg)
		c := dial(t, s.addr)
		fmt.Fprint(c, "PUT /live/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
		s.until("a", "half published", func(f facts) bool { return f.BytesIn == 5 })
		stopped := make(chan struct{})
		go func() { defer close(stopped); s.stop() }()
		for !strings.Contains(s.log.String(), "shutting down") {
			time.Sleep(time.Millisecond)
		}
		fmt.Fprint(c, "67890")
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK") {
			t.Errorf("%q, %v", answer, err)
		}
		c.Close()
		<-stopped
		_, rec := s.recorded("a")
		same(t, "recording", rec, []byte("1234567890"))
	})
}
