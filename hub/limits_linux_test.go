package hub_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// rounds is how often a limit is reached, and left again.
const rounds = 100

// confirmed publishes a piece, often enough that it is worth a kernel pipe, and waits until each viewer has it.
func confirmed(t *testing.T, p *pacer, piece string, far ...io.Reader) {
	t.Helper()
	piece = strings.Repeat(piece, 16<<10/len(piece)+1)
	if _, err := io.WriteString(p.pipe, piece); err != nil {
		t.Fatal(err)
	}
	for _, f := range far {
		b := make([]byte, len(piece))
		if _, err := io.ReadFull(f, b); err != nil || string(b) != piece {
			t.Fatalf("%.40q: %v", b, err)
		}
	}
}

// TestKernelPipesAreUsedAgainOnceThereAreSome has somebody else of the pool take all pipes and give them back.
func TestKernelPipesAreUsedAgainOnceThereAreSome(t *testing.T) {
	pool := penstock.NewPool(256 << 10)
	defer pool.Close()
	h := hub.New(hub.Config{Pool: pool})
	p := newPacer()
	wait := publishing(h, p.src)
	_, one := attach(t, h, hub.SinkConfig{Name: "one"})
	_, two := attach(t, h, hub.SinkConfig{Name: "two"})
	confirmed(t, p, "to begin with", one, two)
	if path := h.Stats().Viewers[0].Path; path == penstock.PathPages {
		t.Skip("kernel pipes are not to be had here: ", h.Stats().Viewers[0].Why)
	}
	for round := range rounds {
		var taken []*penstock.KernelPipe
		for !inMemory(h) { // what the hub has in hand comes back one by one
			taken = takeAll(t, pool, taken)
			confirmed(t, p, "without pipes", one, two)
		}
		for _, kp := range taken {
			pool.Put(kp)
		}
		for range 20 { // some may be on their way still
			confirmed(t, p, "with pipes", one, two)
			if !slices.ContainsFunc(h.Stats().Viewers, func(e hub.Edge) bool { return e.Path == penstock.PathPages }) {
				break
			}
		}
		for _, e := range h.Stats().Viewers {
			if e.Path == penstock.PathPages {
				t.Fatalf("round %d: %s by %s: %s", round, e.To, e.Path, e.Why)
			}
		}
	}
	p.pipe.CloseWrite()
	if err := wait(); err != nil {
		t.Error(err)
	}
	h.End()
	h.Wait()
}

func takeAll(t *testing.T, pool *penstock.Pool, taken []*penstock.KernelPipe) []*penstock.KernelPipe {
	t.Helper()
	for {
		kp, err := pool.Get(64 << 10)
		if errors.Is(err, penstock.ErrNoKernelPipe) {
			return taken
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, kp)
	}
}

// inMemory tells whether all viewers are served from pages.
func inMemory(h *hub.Hub) bool {
	for _, e := range h.Stats().Viewers {
		if e.Path != penstock.PathPages {
			return false
		}
	}
	return true
}

// TestABudgetIsSharedAndComesBack has viewers of two hubs that take nothing: in each round they use the budget up, are
// cut, and leave nothing behind.
func TestABudgetIsSharedAndComesBack(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		const limit, most, piece = 8 << 20, 10 << 20, 64 << 10
		cfg.Budget = hub.NewBudget(limit)
		a, b := hub.New(cfg), hub.New(cfg)
		for range rounds {
			for _, h := range []*hub.Hub{a, b} {
				v, err := h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{})
				if err != nil {
					t.Fatal(err)
				}
				src := penstock.SourceOf(io.LimitReader(zeros{}, most))
				n, err := h.Publish(t.Context(), src, hub.PublishConfig{})
				if err != nil || n != most {
					t.Fatalf("published %d: %v", n, err)
				}
				if used := cfg.Budget.Used(); used > limit+4*piece {
					t.Fatalf("%d bytes are held, of %d", used, limit)
				}
				if err := v.Err(); !errors.Is(err, hub.ErrTooSlow) {
					t.Fatal(err)
				}
			}
		}
		a.End()
		b.End()
		a.Wait()
		b.Wait()
		if used := cfg.Budget.Used(); used != 0 {
			t.Errorf("%d bytes are still charged", used)
		}
	})
}
