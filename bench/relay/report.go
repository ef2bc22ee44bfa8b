package main

import (
	"fmt"
	"io"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

// printReport writes the whole section of bench/RESULTS.md.
func printReport(w io.Writer, of extent, congestion string, quiet float64, results []rounds.Result) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "## Relays: penstock relay beside HAProxy, nginx, socat and io.Copy\n\n%s.\n\n", host)
	fmt.Fprintf(w, "Streams of %.1f GB (10^9 bytes); %v of everything else; %d idle connections. Medians of interleaved\n",
		float64(of.bytes)/1e9, of.lasts, of.idle)
	fmt.Fprint(w, "rounds, lowest and highest in brackets. Ratios are to the first kind in the same round. CPU is the relay\n",
		"alone, all of its processes. Sockets are on loopback, ", congestion, ". All share the CPUs, but for round trips,\n",
		"where the relay has one and the client and the server another. `no relay` is these two by themselves: a rate\n",
		"near theirs is not the relay's. Mirrors get what clients send. ")
	fmt.Fprintf(w, "Runs during which others used more than\n%.2f CPUs were repeated where there was time.\n\n", quiet)
	return rounds.PrintMarkdown(w, quiet, results)
}
