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
	"path/filepath"
	"time"

	"github.com/penstock-io/penstock/bench/internal/program"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "commands: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	s := rounds.Settings{Rounds: 5, Quiet: 0.3, Attempts: 3, Budget: 15 * time.Minute}
	s.Declare(flag.CommandLine)
	s.DeclareCases(flag.CommandLine)
	size := flag.Int64("size", 0, "MB of each stream; 0 is 3000, or a fifth of the free memory if that is less")
	penstock := program.Flag(flag.CommandLine)
	if err := s.Parse(flag.CommandLine, os.Args[1:]); err != nil {
		return err
	}
	chosen, err := rounds.Chosen(s, os.Stdout, comparisons())
	if err != nil || s.List {
		return err
	}
	w, err := newWorkplace(*size, *penstock)
	if err != nil {
		return err
	}
	defer w.remove()
	for i := range chosen {
		chosen[i].Kinds = present(chosen[i])
	}
	if err := w.verify(chosen); err != nil {
		return err
	}
	results, err := rounds.Measure(s, chosen, w.measure, rounds.Show)
	if err != nil {
		return err
	}
	if !s.Markdown {
		return rounds.PrintGoals(os.Stdout, results)
	}
	return printReport(os.Stdout, w.size, s.Quiet, results)
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

func newWorkplace(megabytes int64, given string) (_ *workplace, err error) {
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
	penstock, err := program.Penstock(w.dir, given)
	if err != nil {
		return nil, err
	}
	w.in, w.some = filepath.Join(w.dir, "in"), filepath.Join(w.dir, "some")
	if err := fill(w.in, n); err != nil {
		return nil, err
	}
	if err := fill(w.some, min(n, 64<<20+7)); err != nil {
		return nil, err
	}
	w.vars = map[string]string{"PENSTOCK": penstock, "OUT": filepath.Join(w.dir, "out")}
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
