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

// values are what a goal is about: a ratio, or a value, in each round. There are none if somebody is missing.
func (g goal) values(t *table.Table) (all []float64) {
	who, whom := slices.Index(t.Kinds, g.kind), slices.Index(t.Kinds, g.against)
	if who < 0 {
		return nil
	}
	for round, s := range t.Samples[who] {
		v := s.Values[g.metric]
		switch {
		case g.against == best:
			v /= least(t, g.metric, round)
		case g.against != "" && whom < 0:
			return nil
		case g.against != "":
			v /= t.Samples[whom][round].Values[g.metric]
		}
		if math.IsNaN(v) {
			return nil
		}
		all = append(all, v)
	}
	return all
}

// least is the best that anybody has in a round, in a metric of which less is better.
func least(t *table.Table, metric, round int) float64 {
	v := math.Inf(1)
	for _, samples := range t.Samples {
		v = min(v, samples[round].Values[metric])
	}
	return v
}

// verdict is what has come of a goal.
func (g goal) verdict(t *table.Table) (aim, has, state string, known bool) {
	values := g.values(t)
	if values == nil {
		return "", "", "", false
	}
	of := ""
	if g.against != "" {
		of = " of " + g.against
	}
	s := spread.Of(values)
	if math.IsInf(g.most, 1) {
		aim = fmt.Sprintf("%s: at least %.2f%s, %s", g.kind, g.least, of, t.Metrics[g.metric].Name)
	} else {
		aim = fmt.Sprintf("%s: at most %.2f%s, %s", g.kind, g.most, of, t.Metrics[g.metric].Name)
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
					fmt.Fprintf(w, "%-12s %-60s %-20s %s\n", c.name, aim, has, state)
				}
			}
		}
		return nil
	}
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "## Relays: penstock relay beside HAProxy, nginx, socat and io.Copy\n\n%s.\n\n", host)
	fmt.Fprintf(w, "Streams of %.1f GB (10^9 bytes); %v of everything else; %d idle connections. Medians of interleaved rounds,\n",
		float64(m.settings.bytes)/1e9, m.settings.lasts, m.settings.idle)
	fmt.Fprint(w, "lowest and highest in brackets. Ratios are to the first kind in the same round. CPU is the relay alone, all of its\n",
		"processes. Sockets are on loopback, ", m.congestion, ". All share the CPUs; runs during which others used more than\n")
	fmt.Fprintf(w, "%.2f CPUs were repeated where there was time.\n\n", m.quiet)
	fmt.Fprint(w, "### Goals\n\n| case | is to have | has | |\n|---|---|---|---|\n")
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
