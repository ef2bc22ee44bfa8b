// Package rounds measures several kinds side by side: in rounds that are interleaved, with a disturbed run made again,
// and with goals that have been reached or not.
package rounds

import (
	"flag"
	"fmt"
	"time"
)

// Settings are what the flags of such a benchmark set.
type Settings struct {
	Rounds   int           // of a comparison that does not say
	Quiet    float64       // CPUs that others may use during a run
	Attempts int           // how often at most a disturbed run is made before it counts all the same
	Budget   time.Duration // after which no run is repeated, and no further round begun; 0 is no limit
	Markdown bool          // tables are printed in Markdown, when all is done

	Only string // a regular expression that matches the names of what is to be measured
	List bool   // the cases are named, and nothing is measured
}

// Declare declares the flags, with what the settings are as their defaults. Of Rounds and Budget there is none if they
// are 0: then a benchmark has its own way to set them.
func (s *Settings) Declare(f *flag.FlagSet) {
	if s.Rounds > 0 {
		f.IntVar(&s.Rounds, "rounds", s.Rounds, "how many rounds to make")
	}
	if s.Budget > 0 {
		f.DurationVar(&s.Budget, "budget", s.Budget, "repeat no run, and begin no further round, after so long")
	}
	f.Float64Var(&s.Quiet, "quiet", s.Quiet, "repeat a run during which others used more than this many CPUs")
	f.IntVar(&s.Attempts, "attempts", s.Attempts,
		"how often at most a disturbed run is made before it counts all the same")
	f.BoolVar(&s.Markdown, "markdown", s.Markdown, "print tables in Markdown")
}

// DeclareCases declares the flags of a benchmark that has cases with names: which of them, and what they are.
func (s *Settings) DeclareCases(f *flag.FlagSet) {
	f.StringVar(&s.Only, "run", "", "measure what this regular expression matches the name of; see -list")
	f.BoolVar(&s.List, "list", false, "name the cases, and measure nothing")
}

// Parse reads the flags, behind which there is to be nothing. An error is a usage error.
func (s *Settings) Parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	for name, n := range map[string]int{"rounds": s.Rounds, "attempts": s.Attempts} {
		if n < 1 && f.Lookup(name) != nil {
			return fmt.Errorf("-%s %d: want no less than 1", name, n)
		}
	}
	return nil
}
