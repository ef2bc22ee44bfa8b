// Command copy measures [penstock.Copy] and [penstock.CopyBoth] beside what io.Copy does: rates, CPU seconds of the
// copying process, round trips, requests, packets, and what idle connections cost.
//
// What is copied from and to is in processes of its own, so the CPU time is the copier's alone. Rounds are
// interleaved (every kind once, then every kind again), figures are medians over the rounds, and ratios are taken
// within a round before their median: machines are noisy, and ratios travel better than figures.
//
// The Go benchmarks beside it have the names and shapes of those of Go's own net package.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/penstock-io/penstock/bench/internal/role"
)

func main() {
	if name := role.Mine(); name != "" {
		exit(name, playRole(name))
	}
	exit("copy", run())
}

func exit(who string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", who, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run() error {
	var (
		only       = flag.String("run", "", "measure what this regular expression matches the name of; see -list")
		list       = flag.Bool("list", false, "name the cases, and measure nothing")
		times      = flag.Float64("times", 1, "how many times the usual number of rounds to make")
		lasts      = flag.Duration("time", 300*time.Millisecond, "how long a run lasts")
		budget     = flag.Duration("budget", 0, "begin no further round after so long; 0 is 6 minutes, -times as long")
		congestion = flag.String("congestion", "cubic", "congestion control of the senders; empty is the system's")
		pin        = flag.Bool("pin", false, "give the copier the first CPU for itself alone")
		quiet      = flag.Float64("quiet", 0.3, "repeat a run during which others used more than this many CPUs")
		attempts   = flag.Int("attempts", 3, "how often at most a disturbed run is made before it counts all the same")
		markdown   = flag.Bool("markdown", false, "print tables in Markdown")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if *budget == 0 {
		*budget = time.Duration(float64(6*time.Minute) * max(*times, 1))
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	var chosen []comparison
	for _, c := range comparisons() {
		if pattern.MatchString(c.name) {
			chosen = append(chosen, c)
		}
	}
	if *list {
		for _, c := range chosen {
			fmt.Printf("%-24s %s\n", c.name, c.title)
		}
		return nil
	}
	w, err := newWorkplace()
	if err != nil {
		return err
	}
	defer w.remove()
	m := measurer{
		times: *times, quiet: *quiet, attempts: *attempts, deadline: time.Now().Add(*budget),
		common: spec{For: *lasts, Congestion: *congestion, Pin: *pin, Files: w.files},
	}
	var tables []table
	for i, c := range chosen {
		t, err := m.compare(c, len(chosen)-i)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		tables = append(tables, t)
		if !*markdown {
			if err := t.print(os.Stdout); err != nil {
				return err
			}
		}
	}
	if *markdown {
		return printReport(os.Stdout, m, tables)
	}
	return nil
}
