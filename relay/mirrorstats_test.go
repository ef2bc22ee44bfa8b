package relay_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/penstock-io/penstock/relay"
)

// unended is what cannot be closed well.
type unended struct{ discard }

func (unended) Close() error { return errors.New("has not taken the end") }

// TestEachMirrorHasItsOwnCounters, also while connections are open, and those of one name have them together.
func TestEachMirrorHasItsOwnCounters(t *testing.T) {
	opens := func(w io.WriteCloser, err error) func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
		return func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) { return w, err }
	}
	all := discard{io.Discard}
	c := relay.Config{
		Targets: []relay.Target{{Address: echo(t)}}, Log: slog.New(slog.DiscardHandler),
		Mirrors: []relay.Mirror{
			{Name: "whole", Open: opens(all, nil)},
			{Name: "gone", Open: opens(nil, errors.New("nobody there")), Direction: relay.Forward},
			{Name: "some", Open: opens(all, nil), Direction: relay.Forward, MaxBytes: 10},
			{Name: "unended", Open: opens(unended{all}, nil), Direction: relay.Backward},
			{Name: "both", Direction: relay.Forward},
			{Name: "both", Direction: relay.Backward},
		},
	}
	r := run(t, c)
	const n, size = 3, 1000
	for range n {
		client := dial(t, r.addr)
		say(t, client, noise(size))
		hear(t, client)
		r.ended(t)
	}
	open := dial(t, r.addr)
	if _, err := open.Write(noise(size)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(open, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Stats().Mirrors {
		if s.Mirror == "both" && s.Delivered != 2*(n+1)*size {
			t.Errorf("while one is open it is %+v", s)
		}
	}
	say(t, open, nil)
	hear(t, open)
	r.ended(t)
	if err := r.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	const conns = n + 1
	want := []relay.MirrorStats{
		{Mirror: "whole", Delivered: 2 * conns * size},
		{Mirror: "gone", Lost: conns * size, Failed: conns},
		{Mirror: "some", Delivered: conns * 10},
		{Mirror: "unended", Delivered: conns * size, Failed: conns},
		{Mirror: "both", Delivered: 2 * conns * size},
	}
	s := r.Stats()
	if !slices.Equal(s.Mirrors, want) {
		t.Errorf("the mirrors are\n%+v, want\n%+v", s.Mirrors, want)
	}
	var delivered, lost int64
	for _, m := range s.Mirrors {
		delivered += m.Delivered
		lost += m.Lost
	}
	if s.Mirrored != delivered || s.Lost != lost {
		t.Errorf("all together are %d and %d, each by itself %d and %d", s.Mirrored, s.Lost, delivered, lost)
	}
}
