package live_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/format"
	"github.com/penstock-io/penstock/live"
)

// fillerParts are what openParts has in its file, of the kind that part makes.
var fillerParts = func() (parts [3][]byte) {
	for i := range parts {
		parts[i] = fmt.Appendf(nil, "--frame\r\nContent-Type: text/plain\r\n\r\nfiller %d\r\n", i)
	}
	return parts
}()

// openParts opens a filler of fillerParts, with a beginning and an end that are not shown.
func openParts(t *testing.T, rate int64) *live.Filler {
	t.Helper()
	content := append([]byte("\r\n"), bytes.Join(fillerParts[:], nil)...)
	return openFiller(t, "parts.mjpeg", append(content, "--frame--\r\n"...), rate)
}

func openFiller(t *testing.T, name string, content []byte, rate int64) *live.Filler {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := live.OpenFiller(path, rate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// withoutFiller takes whole parts of the filler from the beginning of b, in their order and over and over, and returns
// how many there are, and what stands behind them.
func withoutFiller(b []byte) (n int, rest []byte) {
	for {
		after, ok := bytes.CutPrefix(b, fillerParts[n%len(fillerParts)])
		if !ok {
			return n, b
		}
		n, b = n+1, after
	}
}

// TestTheFillerIsShownWhileThereIsNoPublisher between two of them: to the viewer, and to the recording. It is no
// publisher: who comes while it is shown is not refused, and who comes then is.
func TestTheFillerIsShownWhileThereIsNoPublisher(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Grace, cfg.Filler = time.Hour, openParts(t, 20_000)
		s := start(t, cfg)
		addr := s.listenTCP("cam")
		first := dial(t, addr)
		first.Write(part(0))
		s.until("cam", "live", func(f facts) bool { return f.BytesIn == int64(len(part(0))) })
		viewer := s.watch("cam").background()
		s.until("cam", "watched", func(f facts) bool { return f.BytesOut >= int64(len(part(0))) })
		first.Close()

		const rounds = 2
		enough := int64(len(part(0)) + rounds*3*len(fillerParts[0]))
		s.until("cam", "shown the filler", func(f facts) bool {
			return f.BytesIn > enough && f.State == "waiting" && f.Publisher == "filler"
		})
		second := dial(t, addr)
		s.until("cam", "live again", func(f facts) bool {
			return f.State == "live" && f.Publisher == second.LocalAddr().String()
		})
		if status, body := s.put("cam", "me too"); status != http.StatusConflict {
			t.Errorf("a third publisher: %d %s", status, body)
		}
		second.Write(part(1))
		s.until("cam", "recorded again", func(f facts) bool {
			return f.Recording.Bytes == f.BytesIn && f.BytesIn > 2*int64(len(part(0)))
		})
		s.stop()

		got := viewer.bytes(t)
		rest, ok := bytes.CutPrefix(got, part(0))
		if !ok {
			t.Fatalf("%d bytes do not begin with the first publisher's", len(got))
		}
		n, rest := withoutFiller(rest)
		if n < rounds*3 || !bytes.Equal(rest, part(1)) {
			t.Errorf("%d parts of the filler, and then %d bytes that are not the second publisher's", n, len(rest))
		}
		_, rec := s.recorded("cam")
		same(t, "recording", rec, got)
	})
}

// TestAPublisherDoesNotWaitForTheFiller, of which the next part is due in half a minute.
func TestAPublisherDoesNotWaitForTheFiller(t *testing.T) {
	s := start(t, live.Config{Grace: time.Hour, Filler: openParts(t, 1)})
	s.put("cam", string(part(0)))
	s.watch("cam")
	s.until("cam", "shown the filler", func(f facts) bool {
		return f.Publisher == "filler" && f.BytesIn == int64(len(part(0))+len(fillerParts[0]))
	})
	began := time.Now()
	if status, answer := s.put("cam", string(part(1))); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	s.until("cam", "shown the filler again, from its beginning", func(f facts) bool {
		return f.Publisher == "filler" && f.BytesIn == int64(2*len(part(0))+2*len(fillerParts[0]))
	})
}

// TestTheFillerIsShownToSomebody only: it begins when somebody watches, and ends when nobody does.
func TestTheFillerIsShownToSomebody(t *testing.T) {
	s := start(t, live.Config{Grace: time.Hour, Filler: openParts(t, 20_000)})
	s.put("cam", string(part(0)))
	s.until("cam", "left alone", func(f facts) bool { return f.State == "waiting" && f.Publisher == "" })
	for range 2 {
		w := s.watch("cam")
		s.until("cam", "shown the filler", func(f facts) bool { return f.Publisher == "filler" })
		w.conn.Close()
		s.until("cam", "left alone", func(f facts) bool {
			return f.State == "waiting" && f.Publisher == "" && f.Viewers == 0
		})
	}
	if n := strings.Count(s.log.String(), "filler ended"); n < 2 {
		t.Errorf("it ended %d times", n)
	}
}

func TestAFillerOfAnotherFormatIsNotShown(t *testing.T) {
	s := start(t, live.Config{Grace: time.Hour, Filler: openParts(t, 20_000)})
	s.put("cam", "plain text")
	for i := range 2 {
		s.watch("cam")
		s.untilViewers("cam", i+1)
	}
	if n := strings.Count(s.log.String(), "of another format"); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	s.put("cam", ", more of it")
	if n := strings.Count(s.log.String(), "of another format"); n > 2 {
		t.Errorf("it is told %d times", n)
	}
	f := s.until("cam", "published", func(f facts) bool { return f.State == "waiting" })
	if f.BytesIn != 22 || f.Publisher != "" {
		t.Errorf("%d bytes, by %q", f.BytesIn, f.Publisher)
	}
}

// TestAFillerThatFailsIsShownNoMore is truncated under the server. Nobody but the log notices.
func TestAFillerThatFailsIsShownNoMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parts.mjpeg")
	if err := os.WriteFile(path, append(bytes.Join(fillerParts[:], nil), "--frame--\r\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	filler, err := live.OpenFiller(path, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	s := start(t, live.Config{Grace: time.Hour, Filler: filler})
	s.put("cam", string(part(0)))
	viewer := s.watch("cam").background()
	s.until("cam", "watched, and without a filler", func(f facts) bool {
		return f.Viewers == 1 && f.Publisher == "" && strings.Contains(s.log.String(), "the filler is shown no more")
	})
	s.put("cam", string(part(1)))
	s.stop()
	if got := viewer.bytes(t); !bytes.HasSuffix(got, part(1)) {
		t.Errorf("the viewer got %d bytes", len(got))
	}
}

// TestTheEndOfTheGraceEndsTheFiller, and the stream.
func TestTheEndOfTheGraceEndsTheFiller(t *testing.T) {
	s := start(t, live.Config{Grace: 300 * time.Millisecond, Filler: openParts(t, 20_000)})
	pub := dial(t, s.listenTCP("cam"))
	pub.Write(part(0))
	s.until("cam", "live", func(f facts) bool { return f.BytesIn == int64(len(part(0))) })
	viewer := s.watch("cam").background()
	s.untilViewers("cam", 1)
	pub.Close()
	got := viewer.bytes(t)
	if n, _ := withoutFiller(bytes.TrimPrefix(got, part(0))); n == 0 {
		t.Errorf("%d bytes, and no filler", len(got))
	}
	s.until("cam", "ended", func(f facts) bool { return f.State == "offline" && f.Publisher == "" })
}

// clocked makes packets of MPEG-TS, of which every tenth tells a clock that goes on by so much in between.
func clocked(packets int, ticks int64) []byte {
	b := make([]byte, packets*format.PacketSize)
	for i := range packets {
		p := b[i*format.PacketSize:]
		copy(p, []byte{0x47, 0x01, 0x01, 0x20, 183, 0})
		if i%10 == 5 && ticks > 0 {
			t := (format.ClockWrap - 3*ticks + int64(i/10)*ticks) % format.ClockWrap / 300 // it wraps on the way
			copy(p[5:], []byte{0x10, byte(t >> 25), byte(t >> 17), byte(t >> 9), byte(t >> 1), byte(t << 7), 0})
		}
	}
	return b
}

func TestAFillerIsAsFastAsItsClockSays(t *testing.T) {
	for _, tc := range []struct {
		name    string
		content []byte
		rate    int64
		size    int
		takes   time.Duration
	}{
		// 10 times 100 ms, and a packet behind the last
		{"clock", clocked(106, 2_700_000), 0, 106 * format.PacketSize, 1010 * time.Millisecond},
		{"clock, half a packet", clocked(106, 2_700_000)[:105*format.PacketSize+100], 0, 105 * format.PacketSize, 0},
		{"rate", clocked(100, 2_700_000), 188_000, 100 * format.PacketSize, 100 * time.Millisecond},
		{"rate, no clock", clocked(100, 0), 18_800, 100 * format.PacketSize, time.Second},
	} {
		size, takes := openFiller(t, "f.ts", tc.content, tc.rate).Round()
		if size != int64(tc.size) || tc.takes != 0 && takes != tc.takes {
			t.Errorf("%s: %d bytes in %v, want %d in %v", tc.name, size, takes, tc.size, tc.takes)
		}
	}
	size, takes := openParts(t, 1000).Round()
	if want := int64(3 * len(fillerParts[0])); size != want || takes != time.Duration(want)*time.Millisecond {
		t.Errorf("parts: %d bytes in %v", size, takes)
	}
}

func TestABadFillerIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"empty": "", "text": "words", "one half part": "--frame\r\nContent-Type: image/jpeg\r\n\r\nhalf a pic",
		"no clock":      string(clocked(100, 0)),
		"broken":        string(clocked(10, 27_000)) + strings.Repeat("x", 1000),
		"parts without": string(bytes.Join(fillerParts[:], nil)),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := live.OpenFiller(path, 0)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := live.OpenFiller(dir, 0); err == nil {
		t.Error("a directory is taken")
	}
}

// TestAFilmIsShownAtItsOwnSpeed behind a publisher of the same film, who was faster.
func TestAFilmIsShownAtItsOwnSpeed(t *testing.T) {
	needs(t, "ffmpeg")
	t.Parallel()
	path := filepath.Join(t.TempDir(), "film.ts")
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2", "-c:v", "mpeg2video", "-b:v", "2M", path)()
	film, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	filler, err := live.OpenFiller(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	size, takes := filler.Round()
	if size != int64(len(film)) || takes < 1900*time.Millisecond || takes > 2100*time.Millisecond {
		t.Errorf("%d bytes of %d in %v", size, len(film), takes)
	}
	s := start(t, live.Config{Grace: time.Hour, Filler: filler})
	defer s.stop() // before the filler is closed
	pub := dial(t, s.listenTCP("cam"))
	pub.Write(film)
	s.until("cam", "live", func(f facts) bool { return f.BytesIn == int64(len(film)) })
	began := time.Now()
	w := s.watch("cam?ago=1h")
	s.untilViewers("cam", 1)
	pub.Close()
	r, err := w.response()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2*len(film))
	if _, err := io.ReadFull(r.Body, got); err != nil {
		t.Fatal(err)
	}
	w.conn.Close()
	if took := time.Since(began); took < takes*9/10 {
		t.Errorf("%v of film in %v", takes, took)
	}
	at := bytes.Index(got, film) // behind it the filler, and maybe tables before both
	if at < 0 || at > 8*format.PacketSize || !bytes.HasPrefix(film, got[at+len(film):]) {
		t.Errorf("the viewer got something else: the film is at %d", at)
	}
}
