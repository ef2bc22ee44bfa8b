package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/spread"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// The tables here have each ratio beside its figure, as some figures have goals for both.

// header and rows are a table's cells.
func header(t *table.Table) []string {
	cells := []string{"kind"}
	for _, m := range t.Metrics {
		if m.Ratio != "" {
			cells = append(cells, m.Ratio)
		}
		cells = append(cells, m.Name)
	}
	return cells
}

func rows(t *table.Table) (rows [][]string) {
	for k, kind := range t.Kinds {
		cells := []string{kind}
		for i, m := range t.Metrics {
			if m.Ratio != "" {
				r := spread.Of(t.Ratios(k, 0, i))
				cells = append(cells, fmt.Sprintf("%.2f (%.2f–%.2f)", r.Median, r.Low, r.High))
			}
			v := spread.Of(t.Values(k, i))
			cells = append(cells, fmt.Sprintf(m.Format+" ("+m.Format+"–"+m.Format+")", v.Median, v.Low, v.High))
		}
		rows = append(rows, cells)
	}
	return rows
}

// printTable writes a table for a terminal, and what has come of its goals.
func printTable(r rounds.Result) error { return writeTable(os.Stdout, r) }

func writeTable(w io.Writer, r rounds.Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s: %s, %d rounds\n", r.Name, r.Table.Title, len(r.Table.Samples[0]))
	fmt.Fprintln(tw, strings.Join(header(r.Table), "\t"))
	for _, row := range rows(r.Table) {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, g := range r.Goals {
		if v, known := g.Verdict(r.Table); known {
			fmt.Fprintf(w, "goal: %s %s: %s: %s\n", v.Kind, v.Aim(), v.Figure(), state(v))
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// state is a verdict's, in this report's words.
func state(v rounds.Verdict) string {
	if v.State == rounds.Open {
		return "within the noise"
	}
	return string(v.State)
}
