package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

// printReport writes what bench/RESULTS.md holds. The goals come first.
func printReport(w io.Writer, common spec, quiet float64, results []rounds.Result) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	congestion := common.Congestion
	if congestion == "" {
		congestion = "the system's congestion control"
	}
	cpus := "the processes share all CPUs"
	if common.Pin {
		cpus = "the copier has a CPU of its own"
	}
	fmt.Fprintf(w, "## Copy\n\n%s.\n\n", host)
	fmt.Fprint(w, "Medians of interleaved rounds, lowest and highest in brackets. Ratios are to the first kind in\n",
		"the same round: more is better for rates, less for times. CPU is the copying process alone; a GB is 10^9\n")
	fmt.Fprintf(w, "bytes. Loopback, %s; %s; runs during which others used more than\n", congestion, cpus)
	fmt.Fprintf(w, "%.2f CPUs were repeated where there was time. `io.Copy` and `penstock` are given the bare\n", quiet)
	fmt.Fprint(w, "connections and files; `read/write` is `WithoutSplice`, `buffer` an `io.Copy` that sees no descriptors,\n",
		"32 KiB. A goal is missed within the noise where the true median may still reach it, by the sign test.\n")

	fmt.Fprintf(w, "\n### Goals\n\n| case | penstock is to have | has | |\n|---|---|---|---|\n")
	for _, r := range results {
		for _, g := range r.Goals {
			v, known := g.Verdict(r.Table)
			if !known {
				continue
			}
			kind := ""
			if v.Kind != kindPenstock {
				kind = ", " + v.Kind
			}
			fmt.Fprintf(w, "| %s%s | %s | %s | %s |\n", r.Table.Title, kind, v.Aim(), v.Figure(), state(v))
		}
	}
	for _, r := range results {
		head := header(r.Table)
		fmt.Fprintf(w, "\n### %s\n\n%d rounds.\n\n| %s |\n|%s\n", r.Table.Title, len(r.Table.Samples[0]),
			strings.Join(head, " | "), strings.Repeat("---|", len(head)))
		for _, row := range rows(r.Table) {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		}
		if err := r.PrintDisturbed(w, quiet); err != nil {
			return err
		}
	}
	return nil
}
