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
	"os"
	"time"

	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

func main() {
	if name := role.Mine(); name != "" {
		role.Exit(name, playRole(name))
	}
	role.Exit("copy", run())
}

func run() error {
	s := rounds.Settings{Quiet: 0.3, Attempts: 3}
	s.Declare(flag.CommandLine)
	s.DeclareCases(flag.CommandLine)
	var (
		times      = flag.Float64("times", 1, "how many times the usual number of rounds to make")
		lasts      = flag.Duration("time", 300*time.Millisecond, "how long a run lasts")
		congestion = flag.String("congestion", "cubic", "congestion control of the senders; empty is the system's")
		pin        = flag.Bool("pin", false, "give the copier the first CPU for itself alone")
	)
	flag.DurationVar(&s.Budget, "budget", 0, "begin no further round after so long; 0 is 6 minutes, -times as long")
	if err := s.Parse(flag.CommandLine, os.Args[1:]); err != nil {
		return err
	}
	if s.Budget == 0 {
		s.Budget = time.Duration(float64(6*time.Minute) * max(*times, 1))
	}
	chosen, err := rounds.Chosen(s, os.Stdout, comparisons())
	if err != nil || s.List {
		return err
	}
	for i := range chosen {
		chosen[i].Rounds = max(int(float64(chosen[i].Rounds)**times+0.5), 1)
	}
	w, err := newWorkplace()
	if err != nil {
		return err
	}
	defer w.remove()
	common := spec{For: *lasts, Congestion: *congestion, Pin: *pin, Files: w.files}
	results, err := rounds.Measure(s, chosen, common.measure, printTable)
	if err != nil || !s.Markdown {
		return err
	}
	return printReport(os.Stdout, common, s.Quiet, results)
}
