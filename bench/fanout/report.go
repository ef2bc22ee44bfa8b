package main

import (
	"fmt"
	"io"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

// printReport writes what bench/RESULTS.md holds. The ratios come first because they are what travels.
func printReport(w io.Writer, spec runSpec, set rounds.Settings, results []rounds.Result) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "# Fan-out: one TCP source to N viewers on loopback\n\n")
	fmt.Fprintf(w, "%s.\n\n", host)
	fmt.Fprintf(w, "Medians of %d interleaved rounds, lowest and highest in brackets. Ratios are to `%s` in the same round:\n",
		set.Rounds, results[0].Table.Kinds[0])
	fmt.Fprintf(w, "more is better for the rate, less for CPU. CPU is the relaying process alone, per delivered GB (10^9 bytes).\n")
	fmt.Fprintf(w, "%s.\n", spec.conditions(set.Quiet))
	for _, r := range results {
		if err := r.Table.Markdown(w, 2); err != nil {
			return err
		}
		if n := r.Table.Disturbed(set.Quiet); n > 0 {
			fmt.Fprintf(w, "\n%d of %d runs stayed disturbed by other processes after %d attempts.\n",
				n, len(r.Table.Kinds)*set.Rounds, set.Attempts)
		}
	}
	return nil
}

// conditions tells in a sentence how the runs were made.
func (s runSpec) conditions(quiet float64) string {
	drain := "viewers discard in the kernel (recv with MSG_TRUNC)"
	if s.Drain == "read" {
		drain = fmt.Sprintf("viewers read into a reused buffer of %d KiB", drainBuffer/kib)
	}
	send := fmt.Sprintf("The source writes one reused buffer of %d KiB", sourceBuffer/kib)
	if s.Message > 0 {
		send = "The source writes messages; at a pace each is stamped with when it was due, which eight viewers read"
	} else if s.Send == "sendfile" {
		send = "The source sends a memory file by reference"
	}
	congestion := "the system's congestion control"
	if s.Congestion != "" {
		congestion = s.Congestion
	}
	cpus := "the processes share all CPUs"
	if s.Pin {
		cpus = "the relay has a CPU of its own"
	}
	more := ""
	if s.TLS > 0 {
		more += fmt.Sprintf("one viewer in %d is on TLS 1.3, and reads; ", s.TLS)
	}
	if s.Record != "" {
		more += "the relay records the stream to a file; "
	}
	return fmt.Sprintf("%s, %s; %s; %s; %sruns during which others used more than %.2f CPUs were repeated", send, drain, congestion, cpus, more, quiet)
}
