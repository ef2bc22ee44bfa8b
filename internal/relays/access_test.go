package relays

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/penstock-io/penstock/relay"
)

func record(id uint64) relay.Record {
	i := relay.Info{ID: id, Relay: "db", Target: "there:1"}
	return relay.Record{Info: i, Forward: 3, End: "--", Error: "one\nmore"}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestALineIsOneLine(t *testing.T) {
	var out bytes.Buffer
	a := newAccessLog(quiet(), &out)
	a.use(&out, Access{File: "-"})
	a.add(record(7))
	a.use(&out, Access{File: "-", JSON: true})
	a.add(record(8))
	a.close()
	text, rest, _ := strings.Cut(out.String(), "\n")
	if !strings.Contains(text, " db 7 ") || !strings.HasSuffix(text, ": one; more") {
		t.Errorf("the text is %q", text)
	}
	var got struct {
		Time    time.Time
		ID      uint64
		Forward int64
		Error   string
	}
	if err := json.Unmarshal([]byte(rest), &got); err != nil || strings.Count(rest, "\n") != 1 {
		t.Fatalf("%q: %v", rest, err)
	}
	if got.ID != 8 || got.Forward != 3 || got.Error != "one\nmore" || got.Time.IsZero() {
		t.Errorf("the JSON is %+v", got)
	}
}

func TestNobodyWritesToATerminalByTheAccessLog(t *testing.T) {
	var out bytes.Buffer
	a := newAccessLog(quiet(), &out)
	a.use(&out, Access{File: "-"})
	r := record(7)
	r.Relay, r.Error = "/run/a\nb", "\x1b[2J\r\a\x9b\u0085\u202e\u2028\xff and on"
	a.add(r)
	a.close()
	got := out.String()
	odd := func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }
	if strings.Count(got, "\n") != 1 || strings.ContainsFunc(got, odd) {
		t.Errorf("the line is %q", got)
	}
	if !strings.Contains(got, " /run/a; b 7 ") || !strings.HasSuffix(got, " and on\n") {
		t.Errorf("the line is %q", got)
	}
}

// stuck takes nothing until it is closed.
type stuck chan struct{}

func (s stuck) Write(b []byte) (int, error) {
	<-s
	return len(b), nil
}

func TestAnAccessLogThatIsStuckHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(stuck)
		a := newAccessLog(quiet(), out)
		a.use(out, Access{File: "-"})
		a.add(record(0))
		synctest.Wait() // it is being written
		for id := range uint64(accessQueue + 5) {
			a.add(record(id + 1))
		}
		if got := a.lost.Load(); got != 5 {
			t.Errorf("%d lines are lost, want 5", got)
		}
		before := time.Now()
		a.close()
		if took := time.Since(before); took != accessPatience {
			t.Errorf("its end takes %v, want %v", took, accessPatience)
		}
		a.add(record(0)) // of a connection that ends later still
		close(out)
		<-a.written
	})
}

// broken is full.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWhatAnAccessLogLacksIsSaid(t *testing.T) {
	var said bytes.Buffer
	a := newAccessLog(slog.New(slog.NewTextHandler(&said, nil)), broken{})
	a.use(broken{}, Access{File: "-"})
	a.add(record(1))
	a.close()
	if a.lost.Load() != 1 || !strings.Contains(said.String(), `lines=1 error="no space left on device"`) {
		t.Errorf("%d lost, and says\n%s", a.lost.Load(), &said)
	}
}

func TestALogThatWasMovedAwayIsFollowedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access")
	a := newAccessLog(quiet(), nil)
	c := Access{File: path}
	var files []*os.File
	for id := range uint64(2) {
		if err := os.Rename(path, path+".1"); err != nil && id > 0 {
			t.Fatal(err)
		}
		o, err := a.open(c)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, o.(*os.File))
		a.use(o, c)
		a.add(record(id + 1))
	}
	a.close()
	for name, want := range map[string]string{path + ".1": " db 1 ", path: " db 2 "} {
		text, err := os.ReadFile(name)
		if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v, want one line with %q", name, text, err, want)
		}
	}
	for _, f := range files {
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s was left open", f.Name())
		}
	}
}
