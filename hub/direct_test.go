package hub_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// TestSmallPiecesAreCopiedAndLargeOnesAreNot, and all arrive, whichever way they take.
func TestSmallPiecesAreCopiedAndLargeOnesAreNot(t *testing.T) {
	src, publisher := tcpPair(t)
	h := hub.New(hub.Config{})
	wait := publishing(h, penstock.SourceOf(src))
	var far []*net.TCPConn
	for range 3 {
		_, f := attach(t, h, hub.SinkConfig{Name: "viewer"})
		far = append(far, f)
	}
	want := offsets(16 << 20)
	at, b := 0, make([]byte, 256<<10)
	publish := func(piece int) hub.Edge {
		t.Helper()
		if _, err := publisher.Write(want[at : at+piece]); err != nil {
			t.Fatal(err)
		}
		for _, f := range far {
			if _, err := io.ReadFull(f, b[:piece]); err != nil {
				t.Fatal(err)
			}
			same(t, "viewer", b[:piece], want[at:at+piece])
		}
		at += piece
		return h.Stats().Viewers[0]
	}
	if e := publish(1400); e.Path == penstock.PathPages {
		t.Skip("kernel pipes are not to be had here: ", e.Why)
	}
	var e hub.Edge
	for range 20 {
		e = publish(1400)
	}
	if e.Path != penstock.PathPages || !strings.Contains(e.Why, "small pieces") {
		t.Errorf("small pieces go by %s: %s", e.Path, e.Why)
	}
	for range 60 {
		if e = publish(len(b)); e.Path != penstock.PathPages {
			break
		}
	}
	if e.Path == penstock.PathPages {
		t.Errorf("large pieces go by %s: %s", e.Path, e.Why)
	}
	publisher.CloseWrite()
	if err := wait(); err != nil {
		t.Error(err)
	}
	h.End()
	h.Wait()
}

// TestWhoTakesAPartOfASmallPieceGetsTheRest has a viewer that reads nothing until all is published.
func TestWhoTakesAPartOfASmallPieceGetsTheRest(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		src, publisher := tcpPair(t)
		h := hub.New(cfg)
		wait := publishing(h, penstock.SourceOf(src))
		_, prompt := attach(t, h, hub.SinkConfig{Name: "prompt"})
		_, late := attach(t, h, hub.SinkConfig{Name: "late"})
		if err := late.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		want := offsets(12 << 20)
		had := make([]byte, 1<<10)
		for at := 0; at < len(want); at += len(had) {
			if _, err := publisher.Write(want[at : at+len(had)]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(prompt, had); err != nil {
				t.Fatal(err)
			}
			same(t, "prompt viewer", had, want[at:at+len(had)])
		}
		publisher.CloseWrite()
		if err := wait(); err != nil {
			t.Error(err)
		}
		if s := h.Stats(); s.Slow != 1 || s.Ring == 0 {
			t.Errorf("%d viewers are slow, %d bytes held", s.Slow, s.Ring)
		}
		h.End()
		got := receive(late)
		h.Wait()
		same(t, "late viewer", got.all(t), want)
	})
}

// leaving is a scanner of a stream whose runs end within a unit, each by 100 bytes.
type leaving struct{}

func (leaving) Scan(run []byte) (join, cut, end int) { return 0, 0, max(0, len(run)-100) }
func (leaving) Header() []byte                       { return nil }

// TestSmallPiecesThatEndWithinAUnitAreCopiedOnce, and not once more into a kernel pipe each.
func TestSmallPiecesThatEndWithinAUnitAreCopiedOnce(t *testing.T) {
	src, publisher := tcpPair(t)
	h := hub.New(hub.Config{})
	published := make(chan error, 1)
	go func() {
		_, err := h.Publish(t.Context(), penstock.SourceOf(src),
			hub.PublishConfig{Scan: func([]byte) hub.Scanner { return leaving{} }})
		published <- err
	}()
	_, far := attach(t, h, hub.SinkConfig{Name: "viewer"})
	want := offsets(64 * 1400)
	got := make([]byte, len(want))
	at, had := 0, 0
	publish := func() hub.Edge {
		t.Helper()
		if _, err := publisher.Write(want[at : at+1400]); err != nil {
			t.Fatal(err)
		}
		at += 1400
		if _, err := io.ReadFull(far, got[had:at-100]); err != nil {
			t.Fatal(err)
		}
		had = at - 100
		return h.Stats().Viewers[0]
	}
	if e := publish(); e.Path == penstock.PathPages {
		t.Skip("kernel pipes are not to be had here: ", e.Why)
	}
	var e hub.Edge
	for at < len(want) {
		e = publish()
	}
	if e.Path != penstock.PathPages || !strings.Contains(e.Why, "small pieces") {
		t.Errorf("small pieces go by %s: %s", e.Path, e.Why)
	}
	publisher.CloseWrite()
	if err := <-published; err != nil {
		t.Error(err)
	}
	h.End()
	if _, err := io.ReadFull(far, got[had:]); err != nil {
		t.Fatal(err)
	}
	h.Wait()
	same(t, "viewer", got, want)
}
