package rounds

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// Comparison is several kinds that are measured alike. String is a kind's name.
type Comparison[K fmt.Stringer, R any] struct {
	Name    string // for -run
	Title   string
	Run     R // what each kind does
	Metrics []table.Metric
	Kinds   []K
	Base    []int // what each kind's ratios refer to; nil is the first kind
	Goals   []Goal
	Rounds  int // so many, until the whole budget is used; 0 is Settings.Rounds, in the comparison's share of it
}

// Result is what has come of a comparison.
type Result struct {
	Name  string
	Goals []Goal
	Table *table.Table
}

// Chosen returns the comparisons that the flags choose. If they are only to be listed it does so, and returns none.
func Chosen[K fmt.Stringer, R any](
	s Settings, list io.Writer, all []Comparison[K, R],
) (some []Comparison[K, R], err error) {
	pattern, err := regexp.Compile(s.Only)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	for _, c := range all {
		if pattern.MatchString(c.Name) {
			some = append(some, c)
		}
	}
	if !s.List {
		return some, nil
	}
	for _, c := range some {
		if _, err := fmt.Fprintf(list, "%-*s %s\n", longest(some), c.Name, c.Title); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// longest is the length of the longest name.
func longest[K fmt.Stringer, R any](all []Comparison[K, R]) (n int) {
	for _, c := range all {
		n = max(n, len(c.Name))
	}
	return n
}

// Measure measures all comparisons, each run by measure. Each result is shown at once, unless all are to be in
// Markdown; what single runs come to is told on standard error.
func Measure[K fmt.Stringer, R any](
	s Settings, all []Comparison[K, R], measure func(R, K) (table.Sample, error), show func(Result) error,
) ([]Result, error) {
	m := measurer[K, R]{Settings: s, measure: measure, width: longest(all)}
	const never = 1000 * time.Hour
	m.deadline = time.Now().Add(never)
	if s.Budget > 0 {
		m.deadline = time.Now().Add(s.Budget)
	}
	var results []Result
	for i, c := range all {
		t, err := m.compare(c, len(all)-i)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		r := Result{c.Name, c.Goals, t}
		results = append(results, r)
		if s.Markdown {
			continue
		}
		if err := show(r); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// Show prints a result's table on standard output.
func Show(r Result) error { return r.Table.Print(os.Stdout) }

type measurer[K fmt.Stringer, R any] struct {
	Settings
	measure  func(R, K) (table.Sample, error)
	width    int // of names
	deadline time.Time
}

// compare measures every kind once in each round. The order turns by one each round, so that nobody always comes after
// the same neighbour. Disturbed runs are repeated in this one's share of the time that is left, which is the same for
// it and all that are to come, so many with this one.
func (m measurer[K, R]) compare(c Comparison[K, R], toCome int) (*table.Table, error) {
	names := make([]string, len(c.Kinds))
	for i, k := range c.Kinds {
		names[i] = k.String()
	}
	t := table.New(c.Title, names, c.Metrics)
	t.Base = c.Base
	enough := time.Now().Add(time.Until(m.deadline) / time.Duration(toCome))
	rounds, last := m.Rounds, enough
	if c.Rounds > 0 {
		rounds, last = c.Rounds, m.deadline
	}
	for round := range rounds {
		if round > 0 && time.Now().After(last) {
			break
		}
		for i := range c.Kinds {
			k := (i + round) % len(c.Kinds)
			s, err := m.quietly(c.Run, c.Kinds[k], enough)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", names[k], round+1, err)
			}
			t.Samples[k] = append(t.Samples[k], s)
			fmt.Fprintf(os.Stderr, "%-*s round %d  %-22s %s\n", m.width, c.Name, round+1, names[k], t.Tell(s))
		}
	}
	return t, nil
}

// quietly repeats a run while others use more than Quiet CPUs; the last attempt stands.
func (m measurer[K, R]) quietly(r R, k K, enough time.Time) (got table.Sample, err error) {
	for range m.Attempts {
		if got, err = m.measure(r, k); err != nil || got.Others <= m.Quiet || time.Now().After(enough) {
			break
		}
	}
	return got, err
}

// Watched makes a run and sees how much others use meanwhile. The run returns its values, and the CPU time that its
// processes have used, this one not counted.
func Watched(run func() (values []float64, ours time.Duration, err error)) (got table.Sample, err error) {
	others, err := machine.WatchOthers()
	if err != nil {
		return got, err
	}
	var ours time.Duration
	if got.Values, ours, err = run(); err != nil {
		return got, err
	}
	got.Others, err = others.Share(ours)
	return got, err
}
