// Command commands measures penstock copy beside the programs that it is to replace: cat, pv, tee, mbuffer, socat, nc.
//
// What is measured is a filter between two cats, a filter with a second output, streams between TCP and files, and how
// long it takes to start. A program's CPU time is its own, as wait4(2) tells it. Rounds are interleaved, figures are
// medians, and ratios are taken within a round before their median.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/penstock-io/penstock/bench/internal/table"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "commands: %v\n", err)
		os.Exit(1)
	}
}

// parent is the module that the benchmarks measure.
const parent = "github.com/penstock-io/penstock"

func run() error {
	var (
		size     = flag.Int64("size", 0, "MB of each stream; 0 is 3000, or a fifth of the free memory if that is less")
		only     = flag.String("run", "", "measure what this regular expression matches the name of; see -list")
		list     = flag.Bool("list", false, "name the cases, and measure nothing")
		rounds   = flag.Int("rounds", 5, "how many rounds to make")
		program  = flag.String("penstock", "", "the program to be measured; empty builds it from this tree")
		quiet    = flag.Float64("quiet", 0.3, "repeat a run during which others used more than this many CPUs")
		attempts = flag.Int("attempts", 3, "how often at most a disturbed run is made before it counts all the same")
		budget   = flag.Duration("budget", 15*time.Minute, "repeat no run, and begin no further round, after so long")
		markdown = flag.Bool("markdown", false, "print tables in Markdown")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
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
			fmt.Printf("%-16s %s\n", c.name, c.title)
		}
		return nil
	}
	w, err := newWorkplace(*size, *program)
	if err != nil {
		return err
	}
	defer w.remove()
	m := measurer{w, *quiet, *attempts, time.Now().Add(*budget)}
	if err := m.verify(chosen); err != nil {
		return err
	}
	tables := make([]*table.Table, len(chosen))
	for i, c := range chosen {
		if tables[i], err = m.compare(c, *rounds, len(chosen)-i); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if !*markdown {
			if err := tables[i].Print(os.Stdout); err != nil {
				return err
			}
		}
	}
	return printReport(os.Stdout, m, chosen, tables, *markdown)
}

// workplace is where the files are: a tmpfs if there is one, else what the page cache holds.
type workplace struct {
	dir  string
	size int64
	in   string // a file of that many random bytes
	some string // a few of them, to verify with
	vars map[string]string
}

const shared = "/dev/shm"

func newWorkplace(megabytes int64, program string) (_ *workplace, err error) {
	n, err := streamSize(megabytes)
	if err != nil {
		return nil, err
	}
	base := ""
	if isTmpfs(shared) {
		base = shared
	}
	w := &workplace{size: n}
	if w.dir, err = os.MkdirTemp(base, "penstock-commands-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.remove()
		}
	}()
	if program == "" {
		where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", parent).Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		program = filepath.Join(w.dir, "penstock")
		build := exec.Command("go", "build", "-C", strings.TrimSpace(string(where)), "-o", program, "./cmd/penstock")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	if program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	w.in, w.some = filepath.Join(w.dir, "in"), filepath.Join(w.dir, "some")
	if err := fill(w.in, n); err != nil {
		return nil, err
	}
	if err := fill(w.some, min(n, 64<<20+7)); err != nil {
		return nil, err
	}
	w.vars = map[string]string{"PENSTOCK": program, "OUT": filepath.Join(w.dir, "out")}
	return w, nil
}

func (w *workplace) remove() { os.RemoveAll(w.dir) } // what is left is in a directory for that

// streamSize is how long the streams are: at most a fifth of the memory that is free unless somebody says otherwise, as
// there are two files and what programs hold of them.
func streamSize(megabytes int64) (int64, error) {
	switch {
	case megabytes < 0:
		return 0, fmt.Errorf("-size %d: want no less than 0", megabytes)
	case megabytes > 0:
		return megabytes * 1e6, nil
	}
	free, err := freeMemory()
	return min(3e9, free/5), err
}
