package recording_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// TestAnIndexIsForPeople is the whole of one.
func TestAnIndexIsForPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{SegmentTime: time.Second, Retry: time.Second})
		for i := range 5 {
			w.mark()
			if i == 2 {
				w.refusing(syscall.ENOSPC)
			}
			w.offer(1000)
			w.refusing(nil)
			time.Sleep(1500 * time.Millisecond)
		}
		if err := w.rec.Close(errors.New(`"quoted"`)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(w.dir, "index"))
		if err != nil {
			t.Fatal(err)
		}
		want := `penstock-recording 1
segment 0 2000-01-01T00:00:00Z "0000"
join 0 2000-01-01T00:00:00Z
segment 1000 2000-01-01T00:00:01.5Z "0001"
join 1000 2000-01-01T00:00:01.5Z
gap 2000 3000 2000-01-01T00:00:03Z "no space left on device"
segment 3000 2000-01-01T00:00:04.5Z "0002"
join 3000 2000-01-01T00:00:04.5Z
segment 4000 2000-01-01T00:00:06Z "0003"
join 4000 2000-01-01T00:00:06Z
end 5000 2000-01-01T00:00:07.5Z "\"quoted\""
`
		if string(got) != want {
			t.Errorf("the index is\n%s", got)
		}
	})
}

const sample = `penstock-recording 1
gap 0 100 2026-11-21T11:50:00Z "input/output error"
segment 100 2026-11-21T11:50:32.5Z "a b.ts"
join 100 2026-11-21T11:50:32.5Z
segment 800 2026-11-21T11:50:33Z "c\n.ts"
place 900 2026-11-21T11:50:34Z
doubt 100 800 2026-11-21T11:50:34Z "input/output error"
gap 1000 1100 2026-11-21T11:50:34Z "x"
segment 1100 2026-11-21T11:50:35Z "d.ts"
end 1200 2026-11-21T11:50:36Z
`

// TestATornIndexIsReadAsFarAsItGoes cuts one at every byte.
func TestATornIndexIsReadAsFarAsItGoes(t *testing.T) {
	whole, err := recording.ReadIndex(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		at, err := time.Parse(time.TimeOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.AddDate(2026, 10, 20)
	}
	want := recording.Index{
		Segments: []recording.IndexSegment{
			{"a b.ts", 100, 800, at("11:50:32.5")},
			{"c\n.ts", 800, 1000, at("11:50:33")},
			{"d.ts", 1100, 1200, at("11:50:35")},
		},
		Places: []recording.IndexPlace{{100, at("11:50:32.5"), true}, {900, at("11:50:34"), false}},
		Gaps:   []recording.IndexRun{{0, 100, at("11:50:00"), "input/output error"}, {1000, 1100, at("11:50:34"), "x"}},
		Doubts: []recording.IndexRun{{100, 800, at("11:50:34"), "input/output error"}},
		End:    &recording.IndexEnd{Off: 1200, At: at("11:50:36")},
	}
	if !reflect.DeepEqual(whole, want) {
		t.Errorf("read is\n%+v, not\n%+v", whole, want)
	}
	for n := range len(sample) {
		x, err := recording.ReadIndex(strings.NewReader(sample[:n]))
		lines := strings.Count(sample[:n], "\n")
		things := len(x.Segments) + len(x.Places) + len(x.Gaps) + len(x.Doubts)
		if err != nil || things != max(0, lines-1) || x.End != nil {
			t.Fatalf("of %d lines and %q: %d, %v", lines, sample[max(0, n-20):n], things, err)
		}
		if s := x.Segments; lines == 3 && s[0].To != -1 {
			t.Errorf("a segment that goes on is %+v", s[0])
		}
	}
}

// TestAnIndexThatIsWrongSaysWhere changes the sample's lines.
func TestAnIndexThatIsWrongSaysWhere(t *testing.T) {
	for _, tc := range [][3]string{
		{"recording 1", "recording 2", "begins with"},
		{"place 900", "plaice 900", `line 6: "plaice"`},
		{"place 900", "place -900", "line 6: a negative offset"},
		{"place 900 2026", "place 900 20z6", "line 6: parsing time"},
		{"segment 800", "segment 100", "line 5: offset 100 is not behind 100"},
		{"segment 1100", "segment 1101", "line 9: offset 1101, where what was before ended at 1100"},
		{"gap 1000 1100", "gap 1000 999", "line 8: it ends before it begins"},
		{`"a b.ts"`, `a b.ts`, "line 3: invalid syntax"},
		{"35Z \"d.ts\"", "35Z \"d.ts\" 3", "line 9: invalid syntax"},
		{"34Z\ndoubt", "34Z 5\ndoubt", `line 6: "5" is too much`},
		{"36Z\n", "36Z\nend 1200 2026-11-21T11:50:36Z\n", "line 11: behind the end"},
		{"a b.ts", strings.Repeat("a", 70_000), "line 3 is too long"},
	} {
		_, err := recording.ReadIndex(strings.NewReader(strings.Replace(sample, tc[0], tc[1], 1)))
		if !errors.Is(err, recording.ErrIndex) || !strings.Contains(err.Error(), tc[2]) {
			t.Errorf("%.40q: %v", tc[1], err)
		}
	}
	if _, err := recording.ReadIndex(failing{}); !errors.Is(err, syscall.EIO) || errors.Is(err, recording.ErrIndex) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, syscall.EIO }

// TestAnIndexThatCannotBeMadeComesWithALaterSegment, and is whole.
func TestAnIndexThatCannotBeMadeComesWithALaterSegment(t *testing.T) {
	w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{SegmentBytes: 1000})
	w.noIndex = syscall.EACCES
	w.offer(500)
	w.offer(1000)
	w.mu.Lock()
	w.noIndex = nil
	w.mu.Unlock()
	w.offer(100)
	if _, err := os.Stat(filepath.Join(w.dir, "index")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there before a segment begins: %v", err)
	}
	w.offer(1000)
	if failed := w.said(recording.IndexFailed); len(failed) != 2 || !errors.Is(failed[0].Err, syscall.EACCES) {
		t.Errorf("told is %+v", failed)
	}
	if st := w.rec.Status(); st.IndexErr != error(syscall.EACCES) || st.Gaps != 0 {
		t.Errorf("%+v", st)
	}
	w.tiles()
	w.stop()
	if x := w.index(); len(x.Segments) != 3 {
		t.Errorf("%+v", x)
	}
}

// FuzzReadIndex holds what is read to what segments and gaps are: they tile the stream.
func FuzzReadIndex(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(sample[:len(sample)/2]))
	f.Add([]byte("penstock-recording 1\nsegment 0 2026-11-21T11:50:32Z \"a\"\n\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := recording.ReadIndex(bytes.NewReader(b))
		if err != nil && !errors.Is(err, recording.ErrIndex) {
			t.Fatal(err)
		}
		off := int64(0)
		segments, gaps := x.Segments, x.Gaps
		for len(segments)+len(gaps) > 0 {
			switch {
			case len(gaps) > 0 && gaps[0].From == off && gaps[0].To >= off:
				off, gaps = gaps[0].To, gaps[1:]
			case len(segments) > 0 && segments[0].From == off && segments[0].To > off:
				off, segments = segments[0].To, segments[1:]
			case len(segments) == 1 && len(gaps) == 0 && segments[0].From == off && segments[0].To == -1 && x.End == nil:
				return // it goes on
			default:
				t.Fatalf("at %d come %+v and %+v", off, segments, gaps)
			}
		}
		if x.End != nil && x.End.Off != off {
			t.Errorf("it ends at %d, at %+v", off, x.End)
		}
	})
}
