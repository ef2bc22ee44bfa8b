package hub_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// tabled is a scanner of a stream whose every byte is a join point behind the same tables.
type tabled struct{ tables []byte }

func (s tabled) Scan(run []byte) (join, cut, end int) { return 0, 0, len(run) }
func (s tabled) Header() []byte                       { return s.tables }

// TestWhatGoesInFrontIsLongerThanWhatItGoesInFrontOf has a viewer in step wait for a byte with 24 KiB in front of it.
func TestWhatGoesInFrontIsLongerThanWhatItGoesInFrontOf(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.FastStart = -1
		h := hub.New(cfg)
		var got []*receiver
		for range 3 {
			_, far := attach(t, h, hub.SinkConfig{Header: func() []byte { return bytes.Repeat([]byte("h"), 4<<10) }})
			got = append(got, receive(far))
		}
		tables := bytes.Repeat([]byte("t"), 20<<10)
		scan := func([]byte) hub.Scanner { return tabled{tables} }
		for range 2 {
			if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("x"))), hub.PublishConfig{Scan: scan}); err != nil {
				t.Fatal(err)
			}
		}
		h.End()
		h.Wait()
		want := append(append(bytes.Repeat([]byte("h"), 4<<10), tables...), "xx"...)
		for _, g := range got {
			same(t, "viewer", g.all(t), want)
		}
	})
}

// TestWhatGoesInFrontMayBeTooLong: then the viewer leaves, and nothing hangs.
func TestWhatGoesInFrontMayBeTooLong(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		h := hub.New(cfg)
		v, _ := attach(t, h, hub.SinkConfig{Header: func() []byte { return make([]byte, 1<<20) }})
		if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("x"))), hub.PublishConfig{}); err != nil {
			t.Fatal(err)
		}
		h.End()
		h.Wait()
		if v.Err() == nil {
			t.Error("a mebibyte went in front of the stream")
		}
	})
}

// liar is a sink that takes a part of what it is given, or none, and says nothing of the rest; or that it has taken more.
type liar struct {
	gate
	most, more int
}

func (l *liar) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	n, err := l.gate.SpliceWrite(p, min(n, l.most), flags)
	return n + l.more, err
}

// TestASinkThatTakesLessWithoutAWordLeavesNothingToTheNext: in the fast loop viewers have a pipe one after the other.
func TestASinkThatTakesLessWithoutAWordLeavesNothingToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Config{NoSplice: true})
		open := make(chan struct{})
		close(open)
		var sinks []*liar
		var viewers []*hub.Viewer
		for i := range 9 {
			s := &liar{gate: gate{open: open}, most: 1 << 30}
			switch i % 3 {
			case 1:
				s.most = i % 2 * 3 // three bytes at a time, or none
			case 2:
				s.more = 1
			}
			v, err := h.Attach(s, hub.SinkConfig{})
			if err != nil {
				t.Fatal(err)
			}
			sinks, viewers = append(sinks, s), append(viewers, v)
		}
		text := []string{"first piece", "second piece", "third piece"}
		if err := publishing(h, penstock.SourceOf(&pieces{text}))(); err != nil {
			t.Fatal(err)
		}
		h.End()
		h.Wait()
		for i, s := range sinks {
			switch {
			case s.more > 0, s.most == 0:
				if err := viewers[i].Err(); !errors.Is(err, io.ErrShortWrite) {
					t.Errorf("viewer %d, whose sink cannot be believed: %v", i, err)
				}
			default:
				same(t, "viewer", s.bytes(), []byte("first piecesecond piecethird piece"))
			}
		}
	})
}
