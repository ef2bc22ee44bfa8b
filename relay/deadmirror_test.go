package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"testing"

	"github.com/penstock-io/penstock/relay"
)

// TestEveryByteThatADeadMirrorLacksIsLogged once, though not in a line for each connection.
func TestEveryByteThatADeadMirrorLacksIsLogged(t *testing.T) {
	const n, size = 50, 1000
	var log bytes.Buffer
	open := func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
		return nil, errors.New("nobody there")
	}
	r := run(t, relay.Config{
		Targets: []relay.Target{{Address: echo(t)}},
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
		Mirrors: []relay.Mirror{{Name: "dead", Open: open}},
	})
	for range n {
		c := dial(t, r.addr)
		say(t, c, noise(size))
		hear(t, c)
		r.ended(t)
	}
	if s := r.Stats(); s.Lost != 2*n*size { // both directions
		t.Errorf("%d bytes are counted as lost, want %d", s.Lost, 2*n*size)
	}
	r.Close()
	ofMirror := regexp.MustCompile(`level=WARN msg=mirror mirror=dead .*lost=(\d+) error="nobody there"`)
	lines := ofMirror.FindAllSubmatch(log.Bytes(), -1)
	lost := 0
	for _, l := range lines {
		some, err := strconv.Atoi(string(l[1]))
		if err != nil {
			t.Fatal(err)
		}
		lost += some
	}
	if len(lines) > 5 || lost != 2*n*size {
		t.Errorf("%d lines with %d bytes for %d connections:\n%s", len(lines), lost, n, &log)
	}
}
