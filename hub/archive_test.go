package hub_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/recording"
)

// Archives that do not do what they say, or not yet.

// oddArchive is a recording that takes bytes when it is let, and opens what the test wants.
type oddArchive struct {
	penstock.Sink
	open func(off int64) (*os.File, int64, error)
}

func (a *oddArchive) Mark(int64, time.Time)                   {}
func (a *oddArchive) Find(time.Time) (int64, time.Time, bool) { return 0, time.Time{}, true }
func (a *oddArchive) Open(off int64) (*os.File, int64, error) { return a.open(off) }
func (a *oddArchive) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathPages, "a test"
}

// TestARecordingThatEndsTooEarlyIsToldOf: the file is shorter than the archive says.
func TestARecordingThatEndsTooEarlyIsToldOf(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		want := offsets(200)
		name := filepath.Join(t.TempDir(), "short")
		if err := os.WriteFile(name, want[:80], 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Archive = &oddArchive{open: func(off int64) (*os.File, int64, error) {
			f, err := os.Open(name)
			if err == nil {
				_, err = f.Seek(off, io.SeekStart)
			}
			return f, 200 - off, err
		}}
		h := hub.New(cfg)
		if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader(want)), hub.PublishConfig{}); err != nil {
			t.Fatal(err)
		}
		v, far := attach(t, h, hub.SinkConfig{Ago: time.Second})
		got := receive(far)
		h.End()
		select {
		case <-v.Done():
		case <-time.After(5 * time.Second):
			v.Leave(errTired)
			t.Fatal("it reads the end of the file again and again")
		}
		if err := v.Err(); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		h.Wait()
		same(t, "viewer", got.all(t), want[:80])
	})
}

// gate is a sink that takes nothing until it is opened, and everything then.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

// bytes returns what it has taken.
func (g *gate) bytes() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Bytes()
}

func (g *gate) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	select {
	case <-g.open:
	default:
		if flags&penstock.NonBlock != 0 {
			return 0, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: penstock.ErrWouldBlock}
		}
		<-g.open
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := io.CopyN(&g.got, p, int64(n))
	return int(m), err
}

func (g *gate) Path(penstock.Conduit) (penstock.Path, string) { return penstock.PathPages, "a test" }
func (g *gate) Polls() bool                                   { return true }
func (g *gate) Interrupt()                                    {}
func (g *gate) Resume()                                       {}

// TestWhoWaitsForTheRecordingWaits has a viewer and the recording fall off a full ring at the same place, so that there is
// nothing in the archive for the viewer yet, and it is too far behind for the ring.
func TestWhoWaitsForTheRecordingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, slow := &gate{open: make(chan struct{})}, &gate{open: make(chan struct{})}
		opened := 0
		archive := &oddArchive{Sink: disk}
		archive.open = func(off int64) (*os.File, int64, error) {
			if opened++; opened == 1000 {
				t.Error("it asks again and again")
				close(disk.open)
			}
			n := int64(len(disk.bytes())) - off
			if n < 0 {
				return nil, 0, errors.New("outside of the stream")
			}
			if n == 0 {
				return nil, 0, nil
			}
			name := filepath.Join(t.TempDir(), "recording")
			if err := os.WriteFile(name, disk.bytes()[off:], 0o600); err != nil {
				return nil, 0, err
			}
			f, err := os.Open(name)
			return f, n, err
		}
		h := hub.New(hub.Config{NoSplice: true, Ring: 64 << 10, Archive: archive})
		rec, err := h.Attach(archive, hub.SinkConfig{MustHave: true})
		if err != nil {
			t.Fatal(err)
		}
		v, err := h.Attach(slow, hub.SinkConfig{OnSlow: hub.CatchUp})
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		want := offsets(256 << 10)
		for i := 0; i < len(want); i += 8 << 10 {
			text = append(text, string(want[i:i+8<<10]))
		}
		wait := publishing(h, penstock.SourceOf(&pieces{text}))
		synctest.Wait()
		close(slow.open)
		synctest.Wait() // it has what was its own, and waits
		if opened < 1000 {
			close(disk.open)
		}
		if err := wait(); err != nil {
			t.Error(err)
		}
		h.End()
		h.Wait()
		if err := errors.Join(v.Err(), rec.Err()); err != nil {
			t.Error(err)
		}
		same(t, "viewer", slow.bytes(), want)
		same(t, "recording", disk.bytes(), want)
	})
}

// TestWhoIsAheadOfARealRecordingWaits is the same with a recording whose first file is long in coming: the viewer has had
// bytes that are not recorded yet.
func TestWhoIsAheadOfARealRecordingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, ready := t.TempDir(), make(chan struct{})
		archive := recording.New(recording.Config{Open: os.Open, Create: func(time.Time) (*os.File, error) {
			<-ready
			return os.CreateTemp(dir, "segment")
		}})
		h := hub.New(hub.Config{NoSplice: true, Ring: 64 << 10, Archive: archive})
		rec, err := h.Attach(archive, hub.SinkConfig{MustHave: true})
		if err != nil {
			t.Fatal(err)
		}
		slow := &gate{open: make(chan struct{})}
		v, err := h.Attach(slow, hub.SinkConfig{OnSlow: hub.CatchUp})
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		want := offsets(256 << 10)
		for i := 0; i < len(want); i += 8 << 10 {
			text = append(text, string(want[i:i+8<<10]))
		}
		wait := publishing(h, penstock.SourceOf(&pieces{text}))
		synctest.Wait()
		close(slow.open)
		synctest.Wait() // it has what was its own, and waits
		close(ready)
		if err := wait(); err != nil {
			t.Error(err)
		}
		h.End()
		h.Wait()
		if err := errors.Join(v.Err(), rec.Err(), archive.Close(nil)); err != nil {
			t.Error(err)
		}
		same(t, "viewer", slow.bytes(), want)
	})
}
