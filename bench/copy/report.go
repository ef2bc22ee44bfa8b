package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/penstock-io/penstock/bench/internal/machine"
)

// printReport writes what bench/RESULTS.md holds. The goals come first.
func printReport(w io.Writer, m measurer, tables []table) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	congestion := m.common.Congestion
	if congestion == "" {
		congestion = "the system's congestion control"
	}
	cpus := "the processes share all CPUs"
	if m.common.Pin {
		cpus = "the copier has a CPU of its own"
	}
	fmt.Fprintf(w, "## Copy\n\n%s.\n\n", host)
	fmt.Fprint(w, "Medians of interleaved rounds, lowest and highest in brackets. Ratios are to the first kind in\n",
		"the same round: more is better for rates, less for times. CPU is the copying process alone; a GB is 10^9\n")
	fmt.Fprintf(w, "bytes. Loopback, %s; %s; runs during which others used more than\n", congestion, cpus)
	fmt.Fprintf(w, "%.2f CPUs were repeated where there was time. `io.Copy` and `penstock` are given the bare\n", m.quiet)
	fmt.Fprint(w, "connections and files; `read/write` is `WithoutSplice`, `buffer` an `io.Copy` that sees no descriptors,\n",
		"32 KiB. A goal is missed within the noise where the true median may still reach it, by the sign test.\n")

	fmt.Fprintf(w, "\n### Goals\n\n| case | penstock is to have | has | |\n|---|---|---|---|\n")
	for _, t := range tables {
		for _, g := range t.goals {
			v := t.verdict(g)
			aim, got := v.say(t.metrics()[g.metric])
			kind := ""
			if g.kind != kindPenstock {
				kind = ", " + g.kind
			}
			fmt.Fprintf(w, "| %s%s | %s | %s | %s |\n", t.title, kind, aim, got, v.state)
		}
	}
	for _, t := range tables {
		head := t.header()
		fmt.Fprintf(w, "\n### %s\n\n%d rounds.\n\n| %s |\n|%s\n", t.title, len(t.samples[0]),
			strings.Join(head, " | "), strings.Repeat("---|", len(head)))
		for _, row := range t.rows() {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		}
		if n := t.disturbed(m.quiet); n > 0 {
			fmt.Fprintf(w, "\n%d of %d runs stayed disturbed by other processes.\n", n, len(t.kinds)*len(t.samples[0]))
		}
	}
	return nil
}
