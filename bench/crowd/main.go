// Command crowd measures what it costs to show one live stream of a fixed bit rate to a crowd of viewers over the
// loopback interface: the server's CPU time and memory, and how late messages are, for several servers side by side.
//
// Rounds are interleaved (every server once, then every server again), figures are medians over the rounds, and ratios
// are taken within a round before their median: machines are noisy, and ratios travel better than figures.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/table"
)

func main() {
	if name := role.Mine(); name != "" {
		role.Exit(name, playRole(name))
	}
	role.Exit("crowd", run())
}

// measurer makes the runs.
type measurer struct {
	dir   string            // for what programs need
	paths map[string]string // of the programs
}

func run() (err error) {
	set := rounds.Settings{Rounds: 3, Quiet: 0.3, Attempts: 2}
	set.Declare(flag.CommandLine)
	var (
		ns      = flag.String("n", "5000", "numbers of viewers")
		names   = flag.String("kinds", "multiwriter,channel,icecast,serve,hub", "kinds of server; ratios refer to the first")
		rate    = flag.Int("rate", 125_000, "the stream's bytes per second")
		message = flag.Int("message", 5000, "bytes of a message")
		parse   = flag.Int("parse", 10, "one viewer in so many checks its stream; the others discard it in the kernel")
		ramp    = flag.Int("ramp", 2000, "viewers that connect in a second")
		seconds = flag.Float64("seconds", 10, "how long the steady state is measured")
		bad     = flag.Bool("bad", false, "measure each kind with bad viewers, too: ratios are to it without")
	)
	if err := set.Parse(flag.CommandLine, os.Args[1:]); err != nil {
		return err
	}
	if *message < messageHead || *rate < 1 || *parse < 1 || *ramp < 1 {
		return fmt.Errorf("a message has %d bytes at least, and rates and shares are not below 1", messageHead)
	}
	var m measurer
	if m.dir, err = os.MkdirTemp("", "crowd"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		role.Exit("crowd", errors.Join(fmt.Errorf("%v", <-interrupted), os.RemoveAll(m.dir))) // the roles see their input end
	}()
	kinds, err := m.available(strings.Split(*names, ","))
	if err != nil {
		return err
	}
	s := spec{
		Rate: *rate, Message: *message, Parse: *parse, Ramp: *ramp,
		For: time.Duration(*seconds * float64(time.Second)),
	}
	var all []comparison
	for text := range strings.SplitSeq(*ns, ",") {
		if s.Viewers, err = strconv.Atoi(text); err != nil || s.Viewers < 1 {
			return fmt.Errorf("-n: %q is not a number of viewers", text)
		}
		all = append(all, compare(s, kinds, *bad))
	}
	results, err := rounds.Measure(set, all, m.measure, rounds.Show)
	if err != nil || !set.Markdown {
		return err
	}
	return report(os.Stdout, s, set, results)
}

// available returns those of the kinds that there are on this machine, and names the others.
func (m *measurer) available(names []string) (kinds []string, err error) {
	m.paths = make(map[string]string)
	for _, name := range names {
		p, external := programs[name]
		switch {
		case external:
			path, err := p.find(m.dir)
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s is left out: %v\n", name, err)
				continue
			}
			m.paths[name] = path
		case crowds[name] == nil:
			return nil, fmt.Errorf("-kinds: unknown kind %q", name)
		}
		kinds = append(kinds, name)
	}
	if len(kinds) == 0 {
		return nil, errors.New("-kinds: none of them is on this machine")
	}
	return kinds, nil
}

// row is a line of a table: a kind, alone or with bad viewers.
type row struct {
	kind string
	bad  bool
}

func (r row) String() string {
	if r.bad {
		return r.kind + ", bad viewers"
	}
	return r.kind
}

type comparison = rounds.Comparison[row, spec]

// compare is all kinds with so many viewers. With bad viewers each kind is measured twice, and ratios are between the
// two.
func compare(s spec, kinds []string, bad bool) comparison {
	title := fmt.Sprintf("%d viewers", s.Viewers)
	c := comparison{Name: title, Title: title, Run: s, Metrics: metrics}
	for _, k := range kinds {
		c.Kinds, c.Base = append(c.Kinds, row{k, false}), append(c.Base, 0)
		if bad {
			alone := len(c.Base) - 1
			c.Base[alone] = alone
			c.Kinds, c.Base = append(c.Kinds, row{k, true}), append(c.Base, alone)
		}
	}
	return c
}

func (m *measurer) measure(s spec, r row) (table.Sample, error) {
	s.Kind, s.Bad = r.kind, r.bad
	return measure(s, m.paths, m.dir)
}

// report writes what bench/RESULTS.md holds.
func report(w io.Writer, s spec, set rounds.Settings, results []rounds.Result) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "# A crowd: one live stream to N viewers on loopback\n\n%s.\n\n", host)
	fmt.Fprintf(w, "Medians of %d interleaved rounds, lowest and highest in brackets; ratios within the same round.\n",
		set.Rounds)
	fmt.Fprintf(w, "The stream is %d bytes a second in messages of %d; one viewer in %d reads and checks it,\n",
		s.Rate, s.Message, s.Parse)
	fmt.Fprintf(w, "the others discard it in the kernel. CPU and memory are the server's process alone, in a window of\n")
	fmt.Fprintf(w, "%v; a GB is 10^9 bytes. Delays are from when a message was due at the publisher until a viewer had\n", s.For)
	fmt.Fprint(w, "all of it. Lost are messages left out, gone are viewers cut off.\n")
	for _, r := range results {
		if err := r.Table.Markdown(w, 2); err != nil {
			return err
		}
		if err := r.PrintDisturbed(w, set.Quiet); err != nil {
			return err
		}
	}
	return nil
}
