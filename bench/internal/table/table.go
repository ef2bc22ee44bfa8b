// Package table sets the figures of several kinds side by side: medians over interleaved rounds, and ratios that are
// taken within a round before their median.
package table

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/penstock-io/penstock/bench/internal/spread"
)

// Metric is one figure of a run.
type Metric struct {
	Name   string // with its unit
	Format string // of a value
	Ratio  string // heading of the ratios; none are given if it is empty
	More   bool   // the more the better
}

// Sample is what one run measured: a value for each metric, NaN where there is none.
type Sample struct {
	Values []float64
	Others float64 // CPUs that other processes and guests used meanwhile
}

// Table holds samples: Samples[k][round] belongs to Kinds[k].
type Table struct {
	Title   string
	Kinds   []string
	Base    []int // what each kind's ratios refer to; nil is the first kind
	Metrics []Metric
	Samples [][]Sample
}

// New returns a table without samples.
func New(title string, kinds []string, metrics []Metric) *Table {
	return &Table{Title: title, Kinds: kinds, Metrics: metrics, Samples: make([][]Sample, len(kinds))}
}

// Tell is a sample in one line.
func (t *Table) Tell(s Sample) string {
	var b strings.Builder
	for i, m := range t.Metrics {
		if !math.IsNaN(s.Values[i]) {
			fmt.Fprintf(&b, "  "+m.Format+" %s", s.Values[i], m.Name)
		}
	}
	return fmt.Sprintf("%s  others %.2f", b.String(), s.Others)
}

// Values returns one metric of one kind, round by round, NaN where there is none.
func (t *Table) Values(kind, metric int) []float64 {
	v := make([]float64, len(t.Samples[kind]))
	for i, s := range t.Samples[kind] {
		v[i] = s.Values[metric]
	}
	return v
}

// Ratios returns the ratios of one kind to another, each within its round, NaN where there is none.
func (t *Table) Ratios(kind, base, metric int) []float64 {
	v := t.Values(kind, metric)
	for i, b := range t.Values(base, metric) {
		if v[i] == b {
			v[i] = 1 // 0 to 0 as well
		} else {
			v[i] /= b
		}
	}
	return v
}

// Spread is what a kind's values of a metric came to; ok is false if there are none.
func (t *Table) Spread(kind, metric int) (s spread.Spread, ok bool) {
	return known(t.Values(kind, metric))
}

// Ratio is what a kind's ratios in a metric came to, each within its round; ok is false if there are none.
func (t *Table) Ratio(kind, metric int) (s spread.Spread, ok bool) {
	base := 0
	if t.Base != nil {
		base = t.Base[kind]
	}
	return known(t.Ratios(kind, base, metric))
}

func known(values []float64) (s spread.Spread, ok bool) {
	if values = slices.DeleteFunc(values, math.IsNaN); len(values) == 0 {
		return s, false
	}
	return spread.Of(values), true
}

// header and rows are the table's cells, ratios first.
func (t *Table) header(first string) []string {
	cells := []string{first}
	for _, m := range t.Metrics {
		if m.Ratio != "" {
			cells = append(cells, m.Ratio)
		}
	}
	for _, m := range t.Metrics {
		cells = append(cells, m.Name)
	}
	return cells
}

func (t *Table) rows(median string) [][]string {
	cell := func(format, bold string, s spread.Spread, ok bool) string {
		if !ok {
			return "–"
		}
		middle := strings.ReplaceAll(bold, "%", fmt.Sprintf(format, s.Median))
		return fmt.Sprintf("%s ("+format+"–"+format+")", middle, s.Low, s.High)
	}
	rows := make([][]string, len(t.Kinds))
	for k, kind := range t.Kinds {
		rows[k] = append(rows[k], kind)
		for i, m := range t.Metrics {
			if m.Ratio != "" {
				s, ok := t.Ratio(k, i)
				rows[k] = append(rows[k], cell("%.2f", median, s, ok))
			}
		}
		for i, m := range t.Metrics {
			s, ok := t.Spread(k, i)
			rows[k] = append(rows[k], cell(m.Format, "%", s, ok))
		}
	}
	return rows
}

// Print writes the table for a terminal.
func (t *Table) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(t.header(t.Title), "\t"))
	for _, row := range t.rows("%") {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// Markdown writes the table under a heading, ratios bold: they are what travels.
func (t *Table) Markdown(w io.Writer, level int) error {
	head := t.header("kind")
	fmt.Fprintf(w, "\n%s %s\n\n| %s |\n|%s\n", strings.Repeat("#", level), t.Title,
		strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range t.rows("**%**") {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | ")); err != nil {
			return err
		}
	}
	return nil
}

// Disturbed counts the runs during which others used more than quiet CPUs.
func (t *Table) Disturbed(quiet float64) (n int) {
	for _, samples := range t.Samples {
		for _, s := range samples {
			if s.Others > quiet {
				n++
			}
		}
	}
	return n
}
