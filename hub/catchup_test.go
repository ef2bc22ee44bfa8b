package hub_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// TestAViewerThatFellOffTheRingCatchesUpAndComesBackIntoStep has a viewer read nothing until the stream has gone by it,
// then everything, and then what comes next with all others. In between it goes from the recording to the ring, at
// whatever place that happens to be.
func TestAViewerThatFellOffTheRingCatchesUpAndComesBackIntoStep(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		archive := newDiskArchive(t)
		cfg.Archive, cfg.Ring, cfg.OnSlow = archive, 1<<20, hub.CatchUp
		h := hub.New(cfg)
		if _, err := h.Attach(archive, hub.SinkConfig{Name: "recording", MustHave: true}); err != nil {
			t.Fatal(err)
		}
		near, far := tcpPair(t)
		if err := near.SetWriteBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		slow, err := h.Attach(penstock.SinkOf(near), hub.SinkConfig{Name: "slow", OnLeave: func(error) { near.CloseWrite() }})
		if err != nil {
			t.Fatal(err)
		}
		want := offsets(24 << 20)
		src, pub := tcpPair(t)
		wait := publishing(h, penstock.SourceOf(src))
		const most, step = 16 << 20, 1 << 10
		if _, err := pub.Write(want[:most]); err != nil {
			t.Fatal(err)
		}
		until(h, func(s hub.Stats) bool { return s.BytesIn == most })
		got := make([]byte, len(want))
		if _, err := io.ReadFull(far, got[:most]); err != nil {
			t.Fatal(err)
		}
		for off := most; off < len(want); off += step { // each piece is awaited: it is in step by construction
			if _, err := pub.Write(want[off : off+step]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(far, got[off:off+step]); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "slow viewer", got, want)
		e := edgeOf(t, h, "slow")
		if e.Archived || e.Skips != 0 {
			t.Errorf("it is not in step: %+v", e)
		}
		ways := []penstock.Path{penstock.PathSendfile, penstock.PathTeeSplice}
		if kernelPipes(h) {
			for _, p := range ways {
				if !slices.ContainsFunc(e.By, func(c hub.Carried) bool { return c.Path == p }) {
					t.Errorf("nothing went by %s: %+v", p, e.By)
				}
			}
		}
		pub.Close()
		if err := wait(); err != nil {
			t.Error(err)
		}
		h.End()
		h.Wait()
		if err := slow.Err(); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(far); err != nil || len(rest) > 0 {
			t.Errorf("%d bytes more, %v", len(rest), err)
		}
	})
}

// until polls the hub's counters: there is no event to wait for from outside.
func until(h *hub.Hub, ok func(hub.Stats) bool) {
	for !ok(h.Stats()) {
		yield()
	}
}

func yield() { time.Sleep(100 * time.Microsecond) } // between looks

func edgeOf(t *testing.T, h *hub.Hub, name string) hub.Edge {
	t.Helper()
	for _, e := range h.Stats().Viewers {
		if e.To == name {
			return e
		}
	}
	t.Fatalf("no edge to %q", name)
	return hub.Edge{}
}

// kernelPipes tells whether the hub's bytes come in by splice.
func kernelPipes(h *hub.Hub) bool { return h.Stats().Intake.Path == penstock.PathSplice }

// TestAViewerBeginsInThePast joins a stream that has gone by, at a join point of the recording, and gets all from there.
func TestAViewerBeginsInThePast(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		archive := newDiskArchive(t)
		cfg.Archive, cfg.Ring, cfg.OnSlow = archive, 1<<20, hub.Block
		h := hub.New(cfg)
		if _, err := h.Attach(penstock.SinkOf(io.Discard), hub.SinkConfig{Ago: 1}); err != hub.ErrNoArchive {
			t.Errorf("before the beginning: %v", err)
		}
		if _, err := h.Attach(archive, hub.SinkConfig{Name: "recording", MustHave: true}); err != nil {
			t.Fatal(err)
		}
		want := offsets(8 << 20)
		src, pub := tcpPair(t)
		done := make(chan error, 1)
		go func() {
			_, err := h.Publish(t.Context(), penstock.SourceOf(src), hub.PublishConfig{Scan: func([]byte) hub.Scanner {
				return &unitScanner{s: &schedule{t: t, unit: 1000, joins: 100}}
			}})
			done <- err
		}()
		if _, err := pub.Write(want[:4<<20]); err != nil {
			t.Fatal(err)
		}
		until(h, func(s hub.Stats) bool { return s.BytesIn > 3<<20 })
		var got []*receiver
		var viewers []*hub.Viewer
		for range 3 {
			v, far := attach(t, h, hub.SinkConfig{Ago: 1, Header: func() []byte { return []byte("[header]") }})
			viewers, got = append(viewers, v), append(got, receive(far))
		}
		if _, err := pub.Write(want[4<<20:]); err != nil {
			t.Fatal(err)
		}
		pub.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		h.End()
		h.Wait()
		for i, rc := range got {
			from, known := viewers[i].Start()
			if !known || from%100_000 != 0 {
				t.Errorf("begins at %d", from)
			}
			same(t, "viewer", rc.all(t), append([]byte("[header]"+tablesText), want[from:]...))
		}
	})
}
