package rounds

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// row is a goal's cells: the case, the goal, what the kind has, and whether that is it.
type row [4]string

func rows(results []Result) (all []row) {
	for _, r := range results {
		for _, g := range r.Goals {
			v, known := g.Verdict(r.Table)
			if !known {
				continue
			}
			aim := v.Aim()
			if v.Kind != Penstock {
				aim = v.Kind + ": " + aim
			}
			all = append(all, row{r.Name, aim, v.Figure(), string(v.State)})
		}
	}
	return all
}

// PrintGoals writes for a terminal what has become of the goals.
func PrintGoals(w io.Writer, results []Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(tw)
	for _, r := range rows(results) {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r[0], r[1], r[2], r[3])
	}
	return tw.Flush()
}

// PrintMarkdown writes what has become of the goals, and then the tables, as sections of bench/RESULTS.md.
func PrintMarkdown(w io.Writer, quiet float64, results []Result) error {
	fmt.Fprintf(w, "### Goals\n\n| case | %s is to have | has | |\n|---|---|---|---|\n", Penstock)
	for _, r := range rows(results) {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", r[0], r[1], r[2], r[3])
	}
	for _, r := range results {
		if err := r.Table.Markdown(w, 3); err != nil {
			return err
		}
		if err := r.PrintDisturbed(w, quiet); err != nil {
			return err
		}
	}
	return nil
}

// PrintDisturbed writes how many runs were disturbed at their last attempt, if any were.
func (r Result) PrintDisturbed(w io.Writer, quiet float64) (err error) {
	if n := r.Table.Disturbed(quiet); n > 0 {
		all := 0
		for _, samples := range r.Table.Samples {
			all += len(samples)
		}
		_, err = fmt.Fprintf(w, "\n%d of %d runs stayed disturbed by other processes.\n", n, all)
	}
	return err
}
