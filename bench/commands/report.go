package main

import (
	"fmt"
	"io"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

// printReport writes the whole section of bench/RESULTS.md, for streams of so many bytes.
func printReport(w io.Writer, size int64, quiet float64, results []rounds.Result) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "## Commands: penstock copy beside cat, pv, tee, mbuffer, socat and nc\n\n%s.\n\n", host)
	fmt.Fprintf(w, "Streams of %.1f GB (10^9 bytes) of random bytes, files in memory. Medians of interleaved rounds,\n",
		float64(size)/1e9)
	fmt.Fprint(w, "lowest and highest in brackets. Ratios are to `penstock` in the same round: a rate below 1 is slower,\n",
		"a CPU ratio above 1 is dearer. CPU is the program alone, or the programs that stand in its place, as\n",
		"wait4(2) tells it. Sockets are on loopback, cubic. All share the CPUs; runs during which others used\n")
	fmt.Fprintf(w, "more than %.2f CPUs were repeated where there was time.\n\n", quiet)
	return rounds.PrintMarkdown(w, quiet, results)
}
