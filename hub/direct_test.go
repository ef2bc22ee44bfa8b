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
