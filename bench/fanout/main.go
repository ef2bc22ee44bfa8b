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
	"github.com/penstock-io/penstock/bench/internal/table"
)

func main() {
	if name := role.Mine(); name != "" {
		role.Exit(name, playRole(name))
	}
	role.Exit("fanout", run())
}

func run() error {
	var (
		ns         = flag.String("n", "1,4,16,64", "numbers of viewers")
		arrivals   = flag.String("arrivals", "bulk", "how the stream arrives: bulk, or in messages of such sizes as 1400,16k,64k,256k")
		offer      = flag.Float64("offer", -1, "bytes per second to deliver in messages, summed over the viewers; 0 is as fast as can be, and less is 150e6, or 25,000 messages if that is less")
		seconds    = flag.Float64("seconds", 2, "how long messages are sent at a pace")
		record     = flag.Bool("record", false, "record the stream to a file, too, of 4 GB at most")
		recordDir  = flag.String("record-dir", os.TempDir(), "where to record")
		encrypt    = flag.Int("tls", 0, "one viewer in so many is on TLS; 0 is none")
		names      = flag.String("kinds", "multiwriter,channel,raw,hub", "kinds of relay; ratios refer to the first")
		rounds     = flag.Int("rounds", 5, "how often to measure each kind")
		size       = flag.Int64("bytes", 0, "bytes to deliver in one run, summed over its viewers; 0 is enough for a second or two")
		send       = flag.String("send", "write", "how the source sends: write, or sendfile (by reference)")
		drain      = flag.String("drain", "discard", "how viewers drain: discard (recv with MSG_TRUNC), or read (into a reused buffer)")
		congestion = flag.String("congestion", "cubic", "congestion control of the source and the relay; empty is the system's")
		pin        = flag.Bool("pin", false, "give the relay the first CPU for itself alone, and the rest to the source and the viewers")
		quiet      = flag.Float64("quiet", 0.2, "repeat a run during which others used more than this many CPUs, see internal/machine")
		verify     = flag.Bool("verify", false, "check every byte at every viewer instead of measuring")
		markdown   = flag.Bool("markdown", false, "print tables in Markdown")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	kinds := strings.Split(*names, ",")
	for _, k := range kinds {
		if _, err := findRelay(k); err != nil {
			return err
		}
	}
	if *verify {
		*quiet = math.Inf(1)
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
	var tables []*table.Table
	for _, spec := range specs {
		t, err := compare(spec, kinds, *rounds, *quiet)
		if err != nil {
			return err
		}
		tables = append(tables, t)
		if !*markdown && !*verify {
			if err := t.Print(os.Stdout); err != nil {
				return err
			}
		}
	}
	switch {
	case *verify:
		_, err := fmt.Printf("every viewer of %s got every byte\n", strings.Join(kinds, ", "))
		return err
	case *markdown:
		return printReport(os.Stdout, spec, *rounds, *quiet, tables)
	}
	return nil
}

// compare measures every kind once in each round. The order turns by one each round, so that nobody always comes
// after the same neighbour.
func compare(spec runSpec, kinds []string, rounds int, quiet float64) (*table.Table, error) {
	t := table.New(spec.title(), kinds, spec.metrics())
	for round := range rounds {
		for i := range kinds {
			k := (i + round) % len(kinds)
			spec.Kind = kinds[k]
			s, err := measureQuiet(spec, quiet)
			if err != nil {
				return t, fmt.Errorf("%s, %s, round %d: %w", spec.Kind, t.Title, round+1, err)
			}
			t.Samples[k] = append(t.Samples[k], s)
			fmt.Fprintf(os.Stderr, "%s round %d  %-20s %s\n", t.Title, round+1, spec.Kind, t.Tell(s))
		}
	}
	return t, nil
}

// attempts is how often a disturbed run is made before it counts all the same.
const attempts = 20

// measureQuiet repeats a run while others use more than quiet CPUs; the last attempt stands.
func measureQuiet(spec runSpec, quiet float64) (s table.Sample, err error) {
	for range attempts {
		s, err = measure(spec)
		if err != nil || s.Others <= quiet {
			break
		}
	}
	return s, err
}
