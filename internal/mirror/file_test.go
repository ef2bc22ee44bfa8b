package mirror

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/penstock-io/penstock/relay"
	"github.com/penstock-io/penstock/relay/capture"
)

// TestACaptureThatIsOpenedAtTheEndHasOne: the connection is over before its file could be made.
func TestACaptureThatIsOpenedAtTheEndHasOne(t *testing.T) {
	n, err := parseName(filepath.Join(t.TempDir(), "%c"))
	if err != nil {
		t.Fatal(err)
	}
	cs := &captures{name: n, all: make(map[relay.Info]*captured)}
	c := relay.Info{ID: 7}
	one, err := cs.of(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	open := one.open
	one.open = func() (capturedFile, error) {
		cs.end(c, relay.Ending{Termination: relay.Termination{'-', '-'}})
		return open()
	}
	if _, err := cs.side(t.Context(), c, relay.Forward); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a side is opened: %v", err)
	}
	f, err := os.Open(n.of(c, relay.BothWays))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("it has no end: %v", err)
	}
	if _, err := one.writer.file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("it is still open: %v", err)
	}
}

func TestNoCaptureIsBegunOfAConnectionThatIsOver(t *testing.T) {
	n, err := parseName(filepath.Join(t.TempDir(), "%c"))
	if err != nil {
		t.Fatal(err)
	}
	cs := &captures{name: n, all: make(map[relay.Info]*captured)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cs.side(ctx, relay.Info{ID: 7}, relay.Forward); !errors.Is(err, context.Canceled) {
		t.Errorf("a side is opened: %v", err)
	}
	if len(cs.all) != 0 {
		t.Error("it is remembered, and nobody will have it forgotten")
	}
}
