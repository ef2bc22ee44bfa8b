package soak

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// tally is a log that only counts what is said, by message and reason, and keeps the first errors.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	errors []string
}

const keptErrors = 10

func newTally() *tally { return &tally{counts: make(map[string]int)} }

// numbers make a reason differ from others of its kind: addresses, lengths.
var numbers = regexp.MustCompile(`(127\.0\.0\.1:)?\d+`)

func (t *tally) Enabled(context.Context, slog.Level) bool { return true }
func (t *tally) WithGroup(string) slog.Handler            { return t }

func (t *tally) WithAttrs(attrs []slog.Attr) slog.Handler { return &tallyOf{t, attrs} }

func (t *tally) Handle(ctx context.Context, r slog.Record) error {
	return (&tallyOf{t, nil}).Handle(ctx, r)
}

// tallyOf is a tally's logger with attributes.
type tallyOf struct {
	*tally
	attrs []slog.Attr
}

func (t *tallyOf) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &tallyOf{t.tally, slices.Concat(t.attrs, attrs)}
}

func (t *tallyOf) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(t.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	what := r.Message
	for _, a := range attrs {
		if a.Key == "reason" || a.Key == "err" {
			what += ": " + numbers.ReplaceAllString(a.Value.String(), "N")
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what]++
	if r.Level >= slog.LevelError && len(t.errors) < keptErrors {
		t.errors = append(t.errors, fmt.Sprint(r.Message, " ", attrs))
	}
	return nil
}

// count returns how often something was said that contains the text.
func (t *tally) count(text string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, times := range t.counts {
		if strings.Contains(what, text) {
			n += times
		}
	}
	return n
}

// String lists what was said, most often first.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.SortedFunc(maps.Keys(t.counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.counts[b], t.counts[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(&b, "%8d  %s\n", t.counts[what], what)
	}
	return b.String()
}
