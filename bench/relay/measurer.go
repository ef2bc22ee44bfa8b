package main

import (
	"time"

	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// measurer makes the runs of all comparisons.
type measurer struct {
	*workplace
	extent extent
}

// hung is how long a run may take.
const hung = time.Minute

// measure makes one run.
func (m measurer) measure(r run, k kind) (table.Sample, error) {
	return rounds.Watched(func() ([]float64, time.Duration, error) {
		s, err := m.set(k, r.server, r.apart())
		if err != nil {
			return nil, 0, err
		}
		// Whoever waits for a relay that hangs is freed by its end.
		watchdog := time.AfterFunc(hung, s.kill)
		values, err := r.measure(s, m.extent)
		watchdog.Stop()
		return values, s.strike(), err
	})
}
