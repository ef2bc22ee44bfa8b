package hub_test

import (
	"bytes"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock/hub"
)

// marks is a scanner of a stream in which units begin with '|', and those where a viewer may begin with '#'.
type marks struct{}

func (marks) Scan(run []byte) (join, cut, end int) {
	return bytes.LastIndexByte(run, '#'), bytes.IndexAny(run, "|#"), len(run)
}
func (marks) Header() []byte { return nil }

func ofMarks([]byte) hub.Scanner { return marks{} }

// joining publishes the pieces, one by one, each once the one before has been everywhere and the given time has passed,
// to a viewer that is there from the beginning, and one that comes after the first piece; it returns what they had.
func joining(t *testing.T, cfg hub.Config, pause time.Duration, scan func([]byte) hub.Scanner, text ...string) (early, late string) {
	synctest.Test(t, func(t *testing.T) {
		cfg.NoSplice = true
		h := hub.New(cfg)
		open := make(chan struct{})
		close(open)
		first, second := &gate{open: open}, &gate{open: open}
		if _, err := h.Attach(first, hub.SinkConfig{}); err != nil {
			t.Fatal(err)
		}
		p := newPacer()
		done := make(chan error)
		go func() {
			_, err := h.Publish(t.Context(), p.src, hub.PublishConfig{Scan: scan})
			done <- err
		}()
		for i, piece := range text {
			p.pipe.Write([]byte(piece))
			synctest.Wait()
			if i == 0 {
				if _, err := h.Attach(second, hub.SinkConfig{}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(pause)
		}
		p.pipe.CloseWrite()
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.pipe.Close()
		h.End()
		h.Wait()
		early, late = string(first.bytes()), string(second.bytes())
	})
	return early, late
}

func TestWhoIsThereBeforeTheStreamGetsItFromItsBeginning(t *testing.T) {
	early, late := joining(t, hub.Config{FastStart: -1}, 0, ofMarks, "|a|b#c#d|e", "|f#g")
	if early != "|a|b#c#d|e|f#g" || late != "#g" {
		t.Errorf("early %q, late %q", early, late)
	}
}

func TestAStreamThatBeginsWithinAUnitIsJoinedAtAJoinPoint(t *testing.T) {
	early, late := joining(t, hub.Config{FastStart: -1}, 0, ofMarks, "a|b#c", "|d#e")
	if early != "#c|d#e" || late != "#e" {
		t.Errorf("early %q, late %q", early, late)
	}
}

func TestNobodyWaitsForeverForAJoinPoint(t *testing.T) {
	early, late := joining(t, hub.Config{FastStart: -1}, 6*time.Second, ofMarks, "a|b", "|c", "d", "e", "|f", "|g")
	if early != "|f|g" || late != "|f|g" {
		t.Errorf("where there are units: early %q, late %q", early, late)
	}
	early, late = joining(t, hub.Config{FastStart: -1}, 6*time.Second, ofMarks, "a", "b", "c", "d", "e")
	if early != "de" || late != "de" {
		t.Errorf("where there are none: early %q, late %q", early, late)
	}
	early, _ = joining(t, hub.Config{FastStart: -1}, 6*time.Second, ofMarks, "a", "b#c", "|d", "|e", "|f")
	if early != "#c|d|e|f" {
		t.Errorf("where there was one: %q", early)
	}
}

// TestJoinPointsThatRunsBeginWithAreJoinPointsLikeAnyOther: a camera that writes a picture at a time has no others, and
// nobody is to begin within a picture because of that.
func TestJoinPointsThatRunsBeginWithAreJoinPointsLikeAnyOther(t *testing.T) {
	_, late := joining(t, hub.Config{FastStart: -1}, 6*time.Second, ofMarks, "#a", "a", "#b", "|b", "b", "b#c", "c")
	if late != "#b|bbb#cc" {
		t.Errorf("who comes between them: %q", late)
	}
	text := []string{"#a"}
	for range 5 { // half a minute, within which one comes every 12 s
		text = append(text, "a", "#a")
	}
	joins := 0
	joining(t, hub.Config{FastStart: -1, Archive: &marked{n: &joins}}, 6*time.Second, ofMarks, text...)
	if joins != 6 {
		t.Errorf("%d places to begin at were found in %q", joins, text)
	}
}

// marked is an archive that counts join points and has nothing.
type marked struct{ n *int }

func (m *marked) Mark(int64, time.Time)                             { *m.n++ }
func (m *marked) Find(time.Time) (off int64, at time.Time, ok bool) { return 0, time.Time{}, false }
func (m *marked) Open(int64) (*os.File, int64, error)               { return nil, 0, nil }
