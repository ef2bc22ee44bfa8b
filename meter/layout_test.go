package meter

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
)

const mib = 1 << 20

func TestAmountsAreWrittenAsPVWritesThem(t *testing.T) {
	for _, c := range []struct {
		n    float64
		want string
	}{
		{0, "0.00  B"},
		{-1, "0.00  B"},
		{1, "1.00  B"},
		{100, " 100  B"},
		{1023, "1023  B"},
		{1024, "1.00KiB"},
		{1500, "1.46KiB"},
		{9.994 * 1024, "9.99KiB"},
		{9.996 * 1024, "10.0KiB"},
		{99900, "97.6KiB"},
		{99.95 * 1024, "  99KiB"},
		{102400, " 100KiB"},
		{1023999, " 999KiB"},
		{1048575, "1023KiB"},
		{1.25 * 1024 * mib, "1.25GiB"},
		{98.4 * mib, "98.4MiB"},
		{math.MaxInt64, "8.00EiB"},
		{1e30, "827180YiB"},
	} {
		if got := amount(c.n); got != c.want {
			t.Errorf("%v: %q and not %q", c.n, got, c.want)
		}
	}
}

func TestTimesAreWrittenAsPVWritesThem(t *testing.T) {
	for _, c := range []struct {
		d           time.Duration
		clock, last string
	}{
		{-time.Second, "0:00:00", "-1s"},
		{13*time.Second + 999*time.Millisecond, "0:00:13", "13s"},
		{2*time.Minute + 5*time.Second, "0:02:05", "2m5s"},
		{time.Hour + 2*time.Minute + 3*time.Second, "1:02:03", "1h2m"},
		{24 * time.Hour, "1:00:00:00", "24h0m"},
		{50*time.Hour + 61*time.Second, "2:02:01:01", "50h1m"},
	} {
		if got := clock(c.d); got != c.clock {
			t.Errorf("%v: %q and not %q", c.d, got, c.clock)
		}
		if got := brief(c.d); got != c.last {
			t.Errorf("%v: %q and not %q", c.d, got, c.last)
		}
	}
}

// half is a transfer of which 45 % are done.
func half() figures {
	return figures{
		State: State{Bytes: 45 * mib, Total: 100 * mib, Elapsed: 13 * time.Second, Path: "splice"},
		rate:  98.4 * mib, average: 96 * mib, left: 16 * time.Second,
	}
}

func noon() time.Time { return time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC) }

func lineOf(t *testing.T, c Config, f figures, width int) string {
	t.Helper()
	c.Now = noon
	d, err := New(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	d.layout.named = leastNamed
	return d.layout.line(f, c.Name, width)
}

func TestALineHasTheLayoutOfPV(t *testing.T) {
	unknown := func(f *figures) { f.Total = -1; f.left = -1; f.swing = 40 }
	for _, c := range []struct {
		name   string
		parts  Parts
		title  string
		width  int
		change func(f *figures)
		want   string
	}{
		{
			"all", 0, "", 90, nil,
			"45.0MiB 0:00:13 [98.4MiB/s] (96.0MiB/s) [==========>              ] 45% ETA 0:00:16 splice",
		},
		{"as pv 1.6 has drawn it", Bytes | Timer | Rate | Bar | ETA, "", 80, func(f *figures) {
			f.State = State{Bytes: 5242880, Total: 40_000_000, Elapsed: 542 * time.Millisecond}
			f.rate, f.left = 9.22*mib, 500*time.Millisecond
		}, "5.00MiB 0:00:00 [9.22MiB/s] [===>                              ] 13% ETA 0:00:00"},
		{
			"pv's own", Bytes | Timer | Rate | Bar | ETA, "", 72, func(f *figures) { f.Path = "" },
			"45.0MiB 0:00:13 [98.4MiB/s] [==========>               ] 45% ETA 0:00:16",
		},
		{"a name", Bytes, "disk", 72, nil, "     disk: 45.0MiB splice"},
		{
			"size not known", 0, "", 72, unknown,
			"45.0MiB 0:00:13 [98.4MiB/s] (96.0MiB/s) [        <=>            ] splice",
		},
		{
			"nothing yet", Bar | ETA, "", 40, func(f *figures) { f.Bytes = 0; f.left = -1; f.Path = "" },
			"[>                     ]  0% ETA -:--:--",
		},
		{
			"all of it", Bar | ETA, "", 40, func(f *figures) { f.Bytes = f.Total; f.left = 0; f.Path = "" },
			"[====================>] 100% ETA 0:00:00",
		},
		{
			"more than was said", Bar, "", 40, func(f *figures) { f.Bytes = 250 * mib; f.Path = "" },
			"[================================>] 250%",
		},
		{
			"nothing at all", Bar, "", 40, func(f *figures) { f.Bytes, f.Total, f.Path = 0, 0, "" },
			"[================================>] 100%",
		},
		{
			"resumed", Bytes | Bar, "", 40, func(f *figures) { f.Before = 30 * mib; f.Path = "" },
			"75.0MiB [==================>       ] 75%",
		},
		{
			"at its end", Bytes | ETA, "", 40, func(f *figures) { f.Ended = true; f.Note = "done" },
			"45.0MiB done splice",
		},
		{
			"failed", 0, "", 60, func(f *figures) { f.Ended = true; f.Note = "failed: connection reset" },
			"45.0MiB 0:00:13 [98.4MiB/s] 45% failed: connection reset",
		},
		{
			"a short stall", Bytes, "", 60, func(f *figures) { f.Stalled, f.StalledFor = "source", time.Second },
			"45.0MiB splice",
		},
		{
			"a stall", Bytes, "", 60, func(f *figures) { f.Stalled, f.StalledFor = "source", 3*time.Second+1 },
			"45.0MiB source stalled 3s splice",
		},
		{
			"a limit", Bytes, "", 60, func(f *figures) { f.Stalled, f.StalledFor = RateLimit, 2*time.Second },
			"45.0MiB rate limit 2s splice",
		},
		{
			"a stall that the end has ended", Bytes, "", 60,
			func(f *figures) { f.Stalled, f.StalledFor, f.Ended = "source", time.Minute, true }, "45.0MiB splice",
		},
		{"when it is over", FinETA, "", 60, nil, "FIN 12:00:16 splice"},
		{
			"when it is over, tomorrow", FinETA, "", 60, func(f *figures) { f.left = 24 * time.Hour },
			"FIN 2024-05-02 12:00:00 splice",
		},
		{"when it is over, not known", FinETA, "", 60, func(f *figures) { f.left = -1 }, "FIN --:--:-- splice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := half()
			if c.change != nil {
				c.change(&f)
			}
			if got := lineOf(t, Config{Parts: c.parts, Name: c.title}, f, c.width); got != c.want {
				t.Errorf("%d columns:\n%q\nand not\n%q", c.width, got, c.want)
			}
		})
	}
}

// TestWhatMattersLeastGivesWay on ever narrower screens; what is last is cut.
func TestWhatMattersLeastGivesWay(t *testing.T) {
	f := half()
	f.Note = "skipped 1.2MiB"
	for _, c := range []struct {
		width int
		want  string
	}{
		{100, "45.0MiB 0:00:13 [98.4MiB/s] (96.0MiB/s) [========>           ] 45% ETA 0:00:16 skipped 1.2MiB splice"},
		{85, "45.0MiB 0:00:13 [98.4MiB/s] (96.0MiB/s) [====>       ] 45% ETA 0:00:16 skipped 1.2MiB"},
		{70, "45.0MiB 0:00:13 [98.4MiB/s] [===>     ] 45% ETA 0:00:16 skipped 1.2MiB"},
		{60, "45.0MiB 0:00:13 [98.4MiB/s] 45% ETA 0:00:16 skipped 1.2MiB"},
		{50, "45.0MiB 0:00:13 [98.4MiB/s] 45% skipped 1.2MiB"},
		{40, "45.0MiB 0:00:13 45% skipped 1.2MiB"},
		{30, "45.0MiB 45% skipped 1.2MiB"},
		{25, "45.0MiB skipped 1.2MiB"},
		{12, "45.0MiB skip"},
		{1, "4"},
	} {
		if got := lineOf(t, Config{}, f, c.width); got != c.want {
			t.Errorf("%d columns:\n%q\nand not\n%q", c.width, got, c.want)
		}
	}
}

func TestAFormatSaysAllThatIsShown(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"%b of it", "45.0MiB of it"},
		{"%N %b", "     disk: 45.0MiB"},
		{"%t%%", "0:00:13%"},
		{"%{eta}|%{average-rate}|%{path}", "ETA 0:00:16|(96.0MiB/s)|splice"},
		{"%p", "[==============>                   ] 45%"},
		{"%12p|%r", "[=>    ] 45%|[98.4MiB/s]"},
		{"%10{progress-bar-only}|%{progress-amount-only}", "===>      | 45%"},
		{"%{progress-bar-only}<", "================>                      <"},
		{"\x1b[31m%b", `\x1b[31m45.0MiB`},
		{"%I %a %e: much that is not to be seen any more", "FIN 12:00:16 (96.0MiB/s) ETA 0:00:16: mu"},
		{"no more", "no more"},
	} {
		got := lineOf(t, Config{Format: c.format, Name: "disk"}, half(), 40)
		if got != c.want {
			t.Errorf("%s:\n%q\nand not\n%q", c.format, got, c.want)
		}
	}
}

func TestAnUnknownSequenceIsNamed(t *testing.T) {
	for format, sequence := range map[string]string{
		"%b %q":      "%q",
		"%":          "%",
		"x %T":       "%T",
		"%{nothing}": "%{nothing}",
		"%{open":     "%{",
		"%5b":        "%5b",
		"%é":         "%é",
	} {
		_, err := New(nil, Config{Format: format})
		var f *FormatError
		if !errors.As(err, &f) || f.Sequence != sequence || !strings.Contains(err.Error(), "%b %t %r") {
			t.Errorf("%q: %v", format, err)
		}
	}
}

// FuzzALineKeepsItsWidth with any format, any name and any note, and holds nothing that a terminal would obey.
func FuzzALineKeepsItsWidth(f *testing.F) {
	f.Add("%N %b %p %e %{note}", "camera", "failed: \x1b]2;owned\a", 40, int64(5))
	f.Add("", "日本語\u202e", "é", 30, int64(-1))
	f.Add("%{note}%99999999999999999999p", "e\u0301\xff", "", 80, int64(0))
	f.Fuzz(func(t *testing.T, format, name, note string, width int, total int64) {
		d, err := New(nil, Config{Format: format, Now: noon})
		if err != nil {
			t.Skip()
		}
		width = min(max(width, 0), 1000)
		s := figures{State: State{Note: note, Path: name, Total: total, Bytes: 3}, left: -1}
		line := d.layout.line(s, Clean(name), width)
		if n := columns(line); n > width {
			t.Errorf("%d columns of %d: %q", n, width, line)
		}
		if i := strings.IndexFunc(line, unicode.IsControl); i >= 0 {
			t.Errorf("a control character in %q", line)
		}
	})
}

func TestTextsAreMadeHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://a:1":    "tcp://a:1",
		"日本 é":         "日本 é",
		"\x1b]2;owned": `\x1b]2;owned`,
		"a\rb\nc\td":   `a\rb\nc\td`,
		"\u202egnp":    `\u202egnp`,
		"\xff\ufffd":   `\xff` + "\ufffd",
		"\x9b31m":      `\x9b31m`,
		"\u009b31m":    `\u009b31m`,
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q: %q and not %q", text, got, want)
		}
	}
}

func TestTextsAreCutAtEitherEnd(t *testing.T) {
	for _, c := range []struct {
		text       string
		room       int
		cut, front string
	}{
		{"camera", 6, "camera", "camera"},
		{"camera", 4, "came", "..ra"},
		{"日本語", 5, "日本", "..語"},
		{"abe\u0301", 3, "abe\u0301", "abe\u0301"},
		{"abcde\u0301", 3, "abc", "..e\u0301"},
		{"camera", 1, "c", "."},
		{"camera", 0, "", ""},
	} {
		if got := cut(c.text, c.room); got != c.cut {
			t.Errorf("%q in %d columns: %q and not %q", c.text, c.room, got, c.cut)
		}
		if got := cutFront(c.text, c.room); got != c.front {
			t.Errorf("the end of %q in %d columns: %q and not %q", c.text, c.room, got, c.front)
		}
	}
}
