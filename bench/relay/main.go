// Command relay measures penstock relay beside HAProxy, nginx's streams, socat and a relay of io.Copy.
//
// Measured are streams, round trips, short connections, what idle connections hold, and what mirrors cost. The relay, the
// server and the client are processes of their own, so the CPU time is the relay's alone. Rounds are interleaved, figures
// are medians, and ratios are taken within a round before their median.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/table"
)

func main() {
	if role.Mine() != "" {
		exit("server", playServer(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)))
	}
	exit("relay", run0())
}

func exit(who string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", who, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// The modules: of what is measured, and of the relay that it is measured beside.
const (
	parent = "github.com/penstock-io/penstock"
	copier = parent + "/bench/relay/iocopy"
)

func run0() error {
	var (
		size       = flag.Int64("size", 1000, "MB of each stream, or of several together")
		lasts      = flag.Duration("time", 500*time.Millisecond, "how long everything else lasts")
		conns      = flag.Int("idle", 500, "how many idle connections there are")
		only       = flag.String("run", "", "measure what this regular expression matches the name of; see -list")
		among      = flag.String("kinds", "", "measure only the relays whose names this regular expression matches")
		list       = flag.Bool("list", false, "name the cases, and measure nothing")
		rounds     = flag.Int("rounds", 5, "how many rounds to make")
		program    = flag.String("penstock", "", "the program to be measured; empty builds it from this tree")
		congestion = flag.String("congestion", "reno", "congestion control of all sockets; empty is the system's")
		quiet      = flag.Float64("quiet", 0.3, "repeat a run during which others used more than this many CPUs")
		attempts   = flag.Int("attempts", 3, "how often at most a disturbed run is made before it counts all the same")
		budget     = flag.Duration("budget", 15*time.Minute, "repeat no run, and begin no further round, after so long")
		markdown   = flag.Bool("markdown", false, "print tables in Markdown")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	kinds, err := regexp.Compile(*among)
	if err != nil {
		return fmt.Errorf("-kinds: %w", err)
	}
	var chosen []comparison
	for _, c := range comparisons() {
		if pattern.MatchString(c.name) {
			c.kinds = matching(kinds, c.kinds)
			chosen = append(chosen, c)
		}
	}
	if *list {
		for _, c := range chosen {
			fmt.Printf("%-14s %s\n", c.name, c.title)
		}
		return nil
	}
	if again, err := inNetworkOfItsOwn(*congestion); again || err != nil {
		return err
	}
	if *congestion, err = congestionControl(); err != nil {
		return err
	}
	if _, err := machine.AllowDescriptors(8 * *conns); err != nil {
		return err
	}
	w, err := newWorkplace(*program)
	if err != nil {
		return err
	}
	defer w.remove()
	m := measurer{
		w, settings{*size * 1e6, *lasts, *conns}, *congestion, *quiet, *attempts, time.Now().Add(*budget),
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

func matching(pattern *regexp.Regexp, kinds []kind) (some []kind) {
	for _, k := range kinds {
		if pattern.MatchString(k.name) {
			some = append(some, k)
		}
	}
	return some
}

// workplace is where programs and their files are.
type workplace struct {
	dir   string
	built map[string]string // programs by what a kind calls them
}

func newWorkplace(program string) (_ *workplace, err error) {
	w := &workplace{built: map[string]string{"PENSTOCK": program}}
	if w.dir, err = os.MkdirTemp("", "penstock-relays-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.remove()
		}
	}()
	// nginx's workers are not who started it.
	if err := os.Chmod(w.dir, 0o755); err != nil {
		return nil, err
	}
	if program == "" {
		where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", parent).Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if err := w.build("PENSTOCK", "-C", strings.TrimSpace(string(where)), "./cmd/penstock"); err != nil {
			return nil, err
		}
	}
	return w, w.build("IOCOPY", "", "", copier)
}

// build builds a program as it is released.
func (w *workplace) build(name, flag, dir, what string) error {
	w.built[name] = filepath.Join(w.dir, strings.ToLower(name))
	args := []string{"build", "-o", w.built[name], what}
	if flag != "" {
		args = []string{"build", flag, dir, "-o", w.built[name], what}
	}
	c := exec.Command("go", args...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", what, err, out)
	}
	return nil
}

// write writes a relay's configuration.
func (w *workplace) write(name, text string) (string, error) {
	path := filepath.Join(w.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

func (w *workplace) remove() { os.RemoveAll(w.dir) } // what is left is in a directory for that
