package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/penstock-io/penstock/bench/internal/spread"
)

// metric is one figure of a run.
type metric struct {
	name   string // with its unit
	format string // of a value
	more   bool   // the more the better
	plain  bool   // no ratio is given: it is a count
}

// goal is what one kind is to reach in one metric, against the best of some others.
type goal struct {
	kind    string
	against []string
	metric  int
	ratio   float64 // at least so many times as much, or at most if less is better
}

// comparison is several kinds that do the same.
type comparison struct {
	name  string // for -run
	title string
	sort  string // of run: a key of sorts
	spec  spec
	kinds []string // ratios refer to the first
	goals []goal

	rounds int
}

func (c comparison) metrics() []metric { return sorts[c.sort].metrics }

// tell is a sample in one line.
func (c comparison) tell(s sample) string {
	var b strings.Builder
	for i, m := range c.metrics() {
		fmt.Fprintf(&b, "  "+m.format+" %s", s.values[i], m.name)
	}
	return b.String()
}

// table holds a comparison's samples: samples[k][round] belongs to kinds[k].
type table struct {
	comparison
	samples [][]sample
}

// values returns one metric of one kind, round by round.
func (t table) values(kind, metric int) []float64 {
	var v []float64
	for _, s := range t.samples[kind] {
		v = append(v, s.values[metric])
	}
	return v
}

// ratios returns the ratios of one kind to another, each within its round.
func (t table) ratios(kind, base, metric int) []float64 {
	v, b := t.values(kind, metric), t.values(base, metric)
	for i := range v {
		if v[i] == b[i] {
			v[i] = 1 // 0 to 0 as well
		} else {
			v[i] /= b[i]
		}
	}
	return v
}

// verdict is what has come of a goal.
type verdict struct {
	goal
	base  string // the best of those it is against, by the median
	ratio spread.Spread
	state string
}

// What a verdict's state may be.
const (
	goalMet    = "met"
	goalNoise  = "within the noise" // the median misses it, but where the true one is does not say so
	goalMissed = "**missed**"
)

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

func (t table) verdict(g goal) verdict {
	more := t.metrics()[g.metric].more
	base := -1
	for _, name := range g.against {
		k := slices.Index(t.kinds, name)
		if base < 0 {
			base = k
			continue
		}
		this, best := spread.Of(t.values(k, g.metric)).Median, spread.Of(t.values(base, g.metric)).Median
		if more && this > best || !more && this < best {
			base = k
		}
	}
	v := verdict{goal: g, base: t.kinds[base]}
	ratios := t.ratios(slices.Index(t.kinds, g.kind), base, g.metric)
	v.ratio = spread.Of(ratios)
	low, high := likely(ratios)
	switch {
	case more && v.ratio.Median >= g.ratio, !more && v.ratio.Median <= g.ratio:
		v.state = goalMet
	case more && high >= g.ratio, !more && low <= g.ratio:
		v.state = goalNoise
	default:
		v.state = goalMissed
	}
	return v
}

// say is the verdict in words.
func (v verdict) say(m metric) (aim, got string) {
	aim = "at least"
	if !m.more {
		aim = "at most"
	}
	aim = fmt.Sprintf("%s %.2f of %s, %s", aim, v.goal.ratio, v.base, m.name)
	got = fmt.Sprintf("%.2f (%.2f–%.2f)", v.ratio.Median, v.ratio.Low, v.ratio.High)
	return aim, got
}

// header and rows are the table's cells.
func (t table) header() []string {
	cells := []string{"kind"}
	for _, m := range t.metrics() {
		if !m.plain {
			cells = append(cells, "ratio")
		}
		cells = append(cells, m.name)
	}
	return cells
}

func (t table) rows() [][]string {
	var rows [][]string
	for k, kind := range t.kinds {
		cells := []string{kind}
		for i, m := range t.metrics() {
			if !m.plain {
				r := spread.Of(t.ratios(k, 0, i))
				cells = append(cells, fmt.Sprintf("%.2f (%.2f–%.2f)", r.Median, r.Low, r.High))
			}
			v := spread.Of(t.values(k, i))
			cells = append(cells, fmt.Sprintf(m.format+" ("+m.format+"–"+m.format+")", v.Median, v.Low, v.High))
		}
		rows = append(rows, cells)
	}
	return rows
}

// print writes the table for a terminal.
func (t table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s: %s, %d rounds\n", t.name, t.title, len(t.samples[0]))
	fmt.Fprintln(tw, strings.Join(t.header(), "\t"))
	for _, row := range t.rows() {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, g := range t.goals {
		v := t.verdict(g)
		aim, got := v.say(t.metrics()[g.metric])
		fmt.Fprintf(w, "goal: %s %s: %s: %s\n", g.kind, aim, got, v.state)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// disturbed counts the runs that were not quiet even at the last attempt.
func (t table) disturbed(quiet float64) (n int) {
	for _, samples := range t.samples {
		for _, s := range samples {
			if s.others > quiet {
				n++
			}
		}
	}
	return n
}
