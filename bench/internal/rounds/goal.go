package rounds

import (
	"fmt"
	"math"
	"slices"

	"github.com/penstock-io/penstock/bench/internal/spread"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// Penstock is the kind that goals are for, unless they name another.
const Penstock = "penstock"

// Goal is what a kind is to reach in one metric.
type Goal struct {
	Kind    string   // empty is Penstock
	Against []string // the best of these by its median is what the kind is measured by; nil: the figure itself is the goal
	Metric  int      // by its place
	Times   float64  // at least so many times as much, or at most if less is better
}

// Verdict is what has come of a goal.
type Verdict struct {
	Goal
	Base  string // of those it is against, the one it was measured by
	Has   spread.Spread
	State State

	metric table.Metric
}

// State is whether a goal is reached.
type State string

// The states.
const (
	Met    State = "met"
	Open   State = "missed, but not in every round" // the median misses it, but where the true one is does not say so
	Missed State = "**missed**"
)

// Verdict looks whether the goal is reached. It is unknown if somebody is not there, or has no figure.
func (g Goal) Verdict(t *table.Table) (v Verdict, known bool) {
	if g.Kind == "" {
		g.Kind = Penstock
	}
	v = Verdict{Goal: g, metric: t.Metrics[g.Metric]}
	kind := slices.Index(t.Kinds, g.Kind)
	if kind < 0 {
		return v, false
	}
	values := t.Values(kind, g.Metric)
	if g.Against != nil {
		base := g.best(t)
		if base < 0 {
			return v, false
		}
		v.Base, values = t.Kinds[base], t.Ratios(kind, base, g.Metric)
	}
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return v, false
	}
	v.Has = spread.Of(values)
	low, high := likely(values)
	v.State = Missed
	switch more := v.metric.More; {
	case more && v.Has.Median >= g.Times, !more && v.Has.Median <= g.Times:
		v.State = Met
	case more && high >= g.Times, !more && low <= g.Times:
		v.State = Open
	}
	return v, true
}

// best is the best of those that a goal is against and that are there; negative if there is none.
func (g Goal) best(t *table.Table) int {
	best, has := -1, 0.0
	for _, name := range g.Against {
		k := slices.Index(t.Kinds, name)
		if k < 0 {
			continue
		}
		s, ok := t.Spread(k, g.Metric)
		if more := t.Metrics[g.Metric].More; ok && (best < 0 || more && s.Median > has || !more && s.Median < has) {
			best, has = k, s.Median
		}
	}
	return best
}

// likely is where the true median is, nineteen times in twenty or so: between two of the values.
func likely(values []float64) (low, high float64) {
	v := slices.Sorted(slices.Values(values))
	// So many coins all but k of which show the same side are as unlikely as the median outside the k-th values.
	const unlikely = 0.07 // of both sides; five rounds reach it with the outermost
	chance, tail, k := 2*math.Pow(0.5, float64(len(v))), 0.0, 0
	for i := range len(v) / 2 {
		if tail += chance; tail > unlikely {
			break
		}
		k = i
		chance *= float64(len(v)-i) / float64(i+1)
	}
	return v[k], v[len(v)-1-k]
}

// Aim is the goal in words, with nothing said of the kind.
func (v Verdict) Aim() string {
	aim := "at most"
	if v.metric.More {
		aim = "at least"
	}
	of := ""
	if v.Base != "" {
		of = " of " + v.Base
	}
	return fmt.Sprintf("%s %.2f%s, %s", aim, v.Times, of, v.metric.Name)
}

// Figure is what the kind has.
func (v Verdict) Figure() string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", v.Has.Median, v.Has.Low, v.Has.High)
}
