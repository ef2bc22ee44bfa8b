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
	"strconv"
	"strings"

	"github.com/penstock-io/penstock/bench/internal/role"
)

func main() {
	if name := role.Mine(); name != "" {
		exit(name, playRole(name))
	}
	exit("fanout", run())
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
		ns         = flag.String("n", "1,4,16,64", "numbers of viewers")
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
	var tables []table
	for text := range strings.SplitSeq(*ns, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-n: %q is not a number of viewers", text)
		}
		spec.Viewers, spec.Size = n, *size/int64(n)
		if *size == 0 {
			spec.Size = deliveredBytes(n, *verify) / int64(n)
		}
		t, err := compare(spec, kinds, *rounds, *quiet)
		if err != nil {
			return err
		}
		tables = append(tables, t)
		if !*markdown && !*verify {
			if err := t.print(os.Stdout); err != nil {
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

// deliveredBytes is how much to deliver so that a run takes a second or two and the sockets' buffers hold a small part
// of the stream.
func deliveredBytes(viewers int, verify bool) int64 {
	switch {
	case verify:
		return 400e6
	case viewers < 4:
		return 8e9
	}
	return 16e9
}

// compare measures every kind once in each round. The order turns by one each round, so that nobody always comes
// after the same neighbour.
func compare(spec runSpec, kinds []string, rounds int, quiet float64) (table, error) {
	t := table{viewers: spec.Viewers, kinds: kinds, samples: make([][]sample, len(kinds))}
	for round := range rounds {
		for i := range kinds {
			k := (i + round) % len(kinds)
			spec.Kind = kinds[k]
			s, err := measureQuiet(spec, quiet)
			if err != nil {
				return t, fmt.Errorf("%s, %d viewers, round %d: %w", spec.Kind, spec.Viewers, round+1, err)
			}
			t.samples[k] = append(t.samples[k], s)
			fmt.Fprintf(os.Stderr, "N=%-3d round %d  %-20s %6.2f GB/s  %.4f CPU-s/GB  others %.2f\n",
				spec.Viewers, round+1, spec.Kind, s.GBPerSecond, s.CPUPerGB, s.Others)
		}
	}
	return t, nil
}

// attempts is how often a disturbed run is made before it counts all the same.
const attempts = 20

// measureQuiet repeats a run while others use more than quiet CPUs; the last attempt stands.
func measureQuiet(spec runSpec, quiet float64) (s sample, err error) {
	for range attempts {
		s, err = measure(spec)
		if err != nil || s.Others <= quiet {
			break
		}
	}
	return s, err
}
