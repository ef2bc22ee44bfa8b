package main

import (
	"fmt"
	"os"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// measurer makes the runs of all comparisons.
type measurer struct {
	*workplace
	settings   settings
	congestion string
	quiet      float64
	attempts   int
	deadline   time.Time
}

// compare measures every kind once in each round. The order turns by one each round, so that nobody always comes after
// the same neighbour.
func (m measurer) compare(c comparison, rounds, toCome int) (*table.Table, error) {
	kinds := present(c.kinds)
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	t := table.New(c.title, names, c.run.metrics())
	enough := time.Now().Add(time.Until(m.deadline) / time.Duration(toCome))
	for round := range rounds {
		if round > 0 && time.Now().After(enough) {
			break
		}
		for i := range kinds {
			k := (i + round) % len(kinds)
			s, err := m.quietly(c.run, kinds[k], enough)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", kinds[k].name, round+1, err)
			}
			t.Samples[k] = append(t.Samples[k], s)
			fmt.Fprintf(os.Stderr, "%-12s round %d  %-22s %s\n", c.name, round+1, kinds[k].name, t.Tell(s))
		}
	}
	return t, nil
}

// quietly repeats a run while others use more than quiet CPUs; the last attempt stands.
func (m measurer) quietly(r run, k kind, enough time.Time) (got table.Sample, err error) {
	for range m.attempts {
		if got, err = m.measure(r, k); err != nil || got.Others <= m.quiet || time.Now().After(enough) {
			break
		}
	}
	return got, err
}

// hung is how long a run may take.
const hung = time.Minute

func (m measurer) measure(r run, k kind) (got table.Sample, err error) {
	others, err := machine.WatchOthers()
	if err != nil {
		return got, err
	}
	s, err := m.set(k, r.server, r.apart())
	if err != nil {
		return got, err
	}
	// Whoever waits for a relay that hangs is freed by its end.
	watchdog := time.AfterFunc(hung, func() { _ = s.relay.Process.Kill() })
	got.Values, err = r.measure(s, m.settings)
	watchdog.Stop()
	used := s.strike()
	if err != nil {
		return got, err
	}
	got.Others, err = others.Share(used)
	return got, err
}
