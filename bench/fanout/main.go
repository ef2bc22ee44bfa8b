// Command fanout measures what it costs to relay one TCP stream to N viewers on the loopback interface: GB/s delivered
// and CPU seconds of the relaying process per delivered GB, for several kinds of relay side by side.
//
// Rounds are interleaved (every kind once, then every kind again), figures are medians over the rounds, and ratios are
// taken within each round before their median: machines are noisy, and ratios travel better than figures.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/table"
)

func main() {
	if name := role.Mine(); name != "" {
		role.Exit(name, playRole(name))
	}
	role.Exit("fanout", run())
}

func run() error {
	set := rounds.Settings{Rounds: 5, Quiet: 0.2, Attempts: 20}
	set.Declare(flag.CommandLine)
	var (
		ns         = flag.String("n", "1,4,16,64", "numbers of viewers")
		arrivals   = flag.String("arrivals", "bulk", "how the stream arrives: bulk, or in messages of such sizes as 1400,16k,64k,256k")
		offer      = flag.Float64("offer", -1, "bytes per second to deliver in messages, summed over the viewers; 0 is as fast as can be, and less is 150e6, or 25,000 messages if that is less")
		seconds    = flag.Float64("seconds", 2, "how long messages are sent at a pace")
		record     = flag.Bool("record", false, "record the stream to a file, too, of 4 GB at most")
		recordDir  = flag.String("record-dir", os.TempDir(), "where to record")
		encrypt    = flag.Int("tls", 0, "one viewer in so many is on TLS; 0 is none")
		names      = flag.String("kinds", "multiwriter,channel,raw,hub", "kinds of relay; ratios refer to the first")
		size       = flag.Int64("bytes", 0, "bytes to deliver in one run, summed over its viewers; 0 is enough for a second or two")
		send       = flag.String("send", "write", "how the source sends: write, or sendfile (by reference)")
		drain      = flag.String("drain", "discard", "how viewers drain: discard (recv with MSG_TRUNC), or read (into a reused buffer)")
		congestion = flag.String("congestion", "cubic", "congestion control of the source and the relay; empty is the system's")
		pin        = flag.Bool("pin", false, "give the relay the first CPU for itself alone, and the rest to the source and the viewers")
		verify     = flag.Bool("verify", false, "check every byte at every viewer instead of measuring")
	)
	if err := set.Parse(flag.CommandLine, os.Args[1:]); err != nil {
		return err
	}
	kinds := strings.Split(*names, ",")
	for _, k := range kinds {
		if _, err := findRelay(k); err != nil {
			return err
		}
	}
	if *verify {
		set.Quiet = math.Inf(1)
	}
	spec := runSpec{Send: *send, Drain: *drain, Congestion: *congestion, Pin: *pin}
	if *verify {
		spec.Send, spec.Drain = "pattern", "pattern"
	}
	spec.TLS = *encrypt
	if *record {
		spec.Record = *recordDir
	}
	if *record || *encrypt > 0 {
		kinds = slices.DeleteFunc(kinds, isBare)
		if len(kinds) == 0 {
			return errBare
		}
	}
	specs, err := plan(spec, *arrivals, *ns, *offer, *seconds, *size)
	if err != nil {
		return err
	}
	show := rounds.Show
	if *verify {
		show = func(rounds.Result) error { return nil } // nothing was measured
	}
	results, err := rounds.Measure(set, comparisons(specs, kinds), measureKind, show)
	if err != nil {
		return err
	}
	switch {
	case *verify:
		_, err := fmt.Printf("every viewer of %s got every byte\n", strings.Join(kinds, ", "))
		return err
	case set.Markdown:
		return printReport(os.Stdout, spec, set, results)
	}
	return nil
}

// kind is a relay's name.
type kind string

func (k kind) String() string { return string(k) }

// comparisons are the kinds side by side, for each spec.
func comparisons(specs []runSpec, names []string) (all []rounds.Comparison[kind, runSpec]) {
	var kinds []kind
	for _, name := range names {
		kinds = append(kinds, kind(name))
	}
	for _, s := range specs {
		all = append(all, rounds.Comparison[kind, runSpec]{
			Name: s.title(), Title: s.title(), Run: s, Metrics: s.metrics(), Kinds: kinds,
		})
	}
	return all
}

func measureKind(s runSpec, k kind) (table.Sample, error) {
	s.Kind = k.String()
	return measure(s)
}
