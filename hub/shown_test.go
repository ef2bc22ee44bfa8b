package hub_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// inStep returns a hub of memory pipes with a viewer in step, who has had a byte already.
func inStep(t *testing.T) (*hub.Hub, *net.TCPConn) {
	h := hub.New(hub.Config{NoSplice: true, FastStart: -1})
	_, far := attach(t, h, hub.SinkConfig{Name: "viewer"})
	if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("x"))), hub.PublishConfig{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return h, far
}

// unhurried reads once somebody has been given something, or waits for it.
type unhurried struct {
	*bytes.Reader
	h *hub.Hub
}

func (u unhurried) ReadAt(b []byte, off int64) (int, error) {
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(time.Millisecond) {
		if s := u.h.Stats(); s.BytesIn > 1 && (s.Slow > 0 || s.BytesOut > 1) {
			break
		}
	}
	return u.Reader.ReadAt(b, off)
}

func TestNobodyIsSentBytesThatHaveNotArrived(t *testing.T) {
	h, far := inStep(t)
	want := offsets(256 << 10)
	src, err := penstock.ReadAhead(unhurried{bytes.NewReader(want), h}, 0, int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	go func() {
		_, err := h.Publish(t.Context(), src, hub.PublishConfig{})
		published <- err
	}()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	same(t, "viewer", got, want)
	if err := <-published; err != nil {
		t.Error(err)
	}
	h.End()
	h.Wait()
}

// window is memory that knows how many look at it.
type window struct {
	data       []byte
	refs, maps atomic.Int32
	stray      atomic.Bool // somebody looked at it when it was nobody's
}

func (*window) Confirm(context.Context) error { return nil }
func (w *window) Map() ([]byte, error)        { w.maps.Add(1); return w.data, nil }
func (w *window) Get()                        { w.refs.Add(1) }
func (w *window) Release()                    { w.refs.Add(-1) }
func (*window) Steal() bool                   { return false }
func (*window) Stability() penstock.Stability { return penstock.Shared }
func (w *window) Unmap() {
	w.maps.Add(-1)
	if w.refs.Load() <= 0 {
		w.stray.Store(true)
	}
}

func TestWhatIsMappedToBeWrittenIsUnmapped(t *testing.T) {
	h, far := inStep(t)
	w := &window{data: offsets(64 << 10)}
	w.refs.Store(1)
	b, err := penstock.NewBuffer(w, 0, len(w.data), 0)
	if err != nil {
		t.Fatal(err)
	}
	p := penstock.NewPipe(0)
	if err := p.Push(t.Context(), b, 0); err != nil {
		t.Fatal(err)
	}
	p.CloseWrite()
	if _, err := h.Publish(t.Context(), penstock.SourceOf(p), hub.PublishConfig{}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(w.data))
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	same(t, "viewer", got, w.data)
	h.End()
	h.Wait()
	if n, refs := w.maps.Load(), w.refs.Load(); n != 0 || refs != 0 || w.stray.Load() {
		t.Errorf("mapped %d times, %d references are left; looked at without one: %t", n, refs, w.stray.Load())
	}
}
