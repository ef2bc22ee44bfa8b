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
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/table"
)

func main() {
	if name := role.Mine(); name != "" {
		exit(name, playRole(name))
	}
	exit("crowd", run())
}

func exit(who string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", who, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// measurer makes the runs.
type measurer struct {
	dir      string            // for what programs need
	paths    map[string]string // of the programs
	rounds   int
	quiet    float64
	attempts int
}

func run() (err error) {
	var (
		ns       = flag.String("n", "5000", "numbers of viewers")
		names    = flag.String("kinds", "multiwriter,channel,icecast,serve,hub", "kinds of server; ratios refer to the first")
		rounds   = flag.Int("rounds", 3, "how often to measure each kind")
		rate     = flag.Int("rate", 125_000, "the stream's bytes per second")
		message  = flag.Int("message", 5000, "bytes of a message")
		parse    = flag.Int("parse", 10, "one viewer in so many checks its stream; the others discard it in the kernel")
		ramp     = flag.Int("ramp", 2000, "viewers that connect in a second")
		seconds  = flag.Float64("seconds", 10, "how long the steady state is measured")
		bad      = flag.Bool("bad", false, "measure each kind with bad viewers, too: ratios are to it without")
		quiet    = flag.Float64("quiet", 0.3, "repeat a run during which others used more than this many CPUs")
		attempts = flag.Int("attempts", 2, "how often at most a disturbed run is made before it counts all the same")
		markdown = flag.Bool("markdown", false, "print tables in Markdown")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if *message < messageHead || *rate < 1 || *parse < 1 || *ramp < 1 || *rounds < 1 || *attempts < 1 {
		return fmt.Errorf("a message has %d bytes at least, and rates, rounds and shares are not below 1", messageHead)
	}
	m := measurer{rounds: *rounds, quiet: *quiet, attempts: *attempts}
	if m.dir, err = os.MkdirTemp("", "crowd"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		exit("crowd", errors.Join(fmt.Errorf("%v", <-interrupted), os.RemoveAll(m.dir))) // the roles see their input end
	}()
	kinds, err := m.available(strings.Split(*names, ","))
	if err != nil {
		return err
	}
	s := spec{
		Rate: *rate, Message: *message, Parse: *parse, Ramp: *ramp,
		For: time.Duration(*seconds * float64(time.Second)),
	}
	var tables []*table.Table
	for text := range strings.SplitSeq(*ns, ",") {
		if s.Viewers, err = strconv.Atoi(text); err != nil || s.Viewers < 1 {
			return fmt.Errorf("-n: %q is not a number of viewers", text)
		}
		t, err := m.compare(s, kinds, *bad)
		if err != nil {
			return err
		}
		tables = append(tables, t)
		if !*markdown {
			if err := t.Print(os.Stdout); err != nil {
				return err
			}
		}
	}
	if *markdown {
		return m.report(os.Stdout, s, tables)
	}
	return nil
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

// compare measures every row once in each round. The order turns by one each round, so that nobody always comes after
// the same neighbour.
func (m *measurer) compare(s spec, kinds []string, bad bool) (*table.Table, error) {
	var rows []row
	var names []string
	var base []int
	for _, k := range kinds {
		rows, names, base = append(rows, row{k, false}), append(names, k), append(base, 0)
		if bad {
			base[len(base)-1] = len(base) - 1
			rows, names, base = append(rows, row{k, true}), append(names, k+", bad viewers"), append(base, len(base)-1)
		}
	}
	t := table.New(fmt.Sprintf("%d viewers", s.Viewers), names, metrics)
	t.Base = base
	for round := range m.rounds {
		for i := range rows {
			k := (i + round) % len(rows)
			s.Kind, s.Bad = rows[k].kind, rows[k].bad
			got, err := m.quietly(s)
			if err != nil {
				return t, fmt.Errorf("%s, %s, round %d: %w", names[k], t.Title, round+1, err)
			}
			t.Samples[k] = append(t.Samples[k], got)
			fmt.Fprintf(os.Stderr, "%s round %d  %-24s %s\n", t.Title, round+1, names[k], t.Tell(got))
		}
	}
	return t, nil
}

// quietly repeats a run while others use more than quiet CPUs; the last attempt stands.
func (m *measurer) quietly(s spec) (got table.Sample, err error) {
	for range m.attempts {
		got, err = measure(s, m.paths, m.dir)
		if err != nil || got.Others <= m.quiet {
			break
		}
	}
	return got, err
}

// report writes what bench/RESULTS.md holds.
func (m *measurer) report(w *os.File, s spec, tables []*table.Table) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "# A crowd: one live stream to N viewers on loopback\n\n%s.\n\n", host)
	fmt.Fprintf(w, "Medians of %d interleaved rounds, lowest and highest in brackets; ratios within the same round.\n", m.rounds)
	fmt.Fprintf(w, "The stream is %d bytes a second in messages of %d; one viewer in %d reads and checks it,\n", s.Rate, s.Message, s.Parse)
	fmt.Fprintf(w, "the others discard it in the kernel. CPU and memory are the server's process alone, in a window of\n")
	fmt.Fprintf(w, "%v; a GB is 10^9 bytes. Delays are from when a message was due at the publisher until a viewer had\n", s.For)
	fmt.Fprint(w, "all of it. Lost are messages left out, gone are viewers cut off.\n")
	for _, t := range tables {
		if err := t.Markdown(w, 2); err != nil {
			return err
		}
		if n := t.Disturbed(m.quiet); n > 0 {
			fmt.Fprintf(w, "\n%d of %d runs stayed disturbed by other processes.\n", n, len(slices.Concat(t.Samples...)))
		}
	}
	return nil
}
