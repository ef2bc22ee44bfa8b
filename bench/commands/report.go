package main

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/spread"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// verdict is what has come of a goal.
func (g goal) verdict(t *table.Table) (aim, has, state string, known bool) {
	const ours = 0
	metric := t.Metrics[g.metric]
	var values []float64
	of := ""
	if g.against == "" {
		for _, s := range t.Samples[ours] {
			values = append(values, s.Values[g.metric])
		}
	} else {
		k := slices.Index(t.Kinds, g.against)
		if k < 0 {
			return "", "", "", false // it is not here
		}
		of = " of " + g.against
		for round, s := range t.Samples[ours] {
			values = append(values, s.Values[g.metric]/t.Samples[k][round].Values[g.metric])
		}
	}
	s := spread.Of(values)
	if math.IsInf(g.most, 1) {
		aim = fmt.Sprintf("at least %.2f%s, %s", g.least, of, metric.Name)
	} else {
		aim = fmt.Sprintf("at most %.2f%s, %s", g.most, of, metric.Name)
	}
	state = "**missed**"
	switch {
	case s.Median >= g.least && s.Median <= g.most:
		state = "met"
	case s.High >= g.least && s.Low <= g.most:
		state = "missed, but not in every round"
	}
	return aim, fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Low, s.High), state, true
}

// printReport writes what has become of the goals, and in Markdown the whole section of bench/RESULTS.md.
func printReport(w io.Writer, m measurer, all []comparison, tables []*table.Table, markdown bool) error {
	if !markdown {
		fmt.Fprintln(w)
		for i, c := range all {
			for _, g := range c.goals {
				if aim, has, state, known := g.verdict(tables[i]); known {
					fmt.Fprintf(w, "%-10s %-36s %-20s %s\n", c.name, aim, has, state)
				}
			}
		}
		return nil
	}
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "## Commands: penstock copy beside cat, pv, tee, mbuffer, socat and nc\n\n%s.\n\n", host)
	fmt.Fprintf(w, "Streams of %.1f GB (10^9 bytes) of random bytes, files in memory. Medians of interleaved rounds,\n",
		float64(m.size)/1e9)
	fmt.Fprint(w, "lowest and highest in brackets. Ratios are to `penstock` in the same round: a rate below 1 is slower,\n",
		"a CPU ratio above 1 is dearer. CPU is the program alone, or the programs that stand in its place, as\n",
		"wait4(2) tells it. Sockets are on loopback, cubic. All share the CPUs; runs during which others used\n")
	fmt.Fprintf(w, "more than %.2f CPUs were repeated where there was time.\n\n", m.quiet)
	fmt.Fprint(w, "### Goals\n\n| case | penstock is to have | has | |\n|---|---|---|---|\n")
	for i, c := range all {
		for _, g := range c.goals {
			if aim, has, state, known := g.verdict(tables[i]); known {
				fmt.Fprintf(w, "| %s | %s | %s | %s |\n", c.name, aim, has, state)
			}
		}
	}
	for _, t := range tables {
		if err := t.Markdown(w, 3); err != nil {
			return err
		}
		if n := t.Disturbed(m.quiet); n > 0 {
			fmt.Fprintf(w, "\n%d of %d runs stayed disturbed by other processes.\n", n, len(t.Kinds)*len(t.Samples[0]))
		}
	}
	return nil
}
