package main

import (
	"fmt"
	"io"

	"github.com/penstock-io/penstock/bench/internal/machine"
)

// printReport writes what bench/RESULTS.md holds. The ratios come first because they are what travels.
func printReport(w io.Writer, spec runSpec, rounds int, quiet float64, tables []table) error {
	host, err := machine.Describe()
	if err != nil {
		return err
	}
	base := tables[0].kinds[0]
	fmt.Fprintf(w, "# Fan-out: one TCP source to N viewers on loopback\n\n")
	fmt.Fprintf(w, "%s.\n\n", host)
	fmt.Fprintf(w, "Medians of %d interleaved rounds, lowest and highest in brackets. Ratios are to `%s` in the same round:\n", rounds, base)
	fmt.Fprintf(w, "more is better for the rate, less for CPU. CPU is the relaying process alone, per delivered GB (10^9 bytes).\n")
	fmt.Fprintf(w, "%s.\n", spec.conditions(quiet))
	for _, t := range tables {
		fmt.Fprintf(w, "\n## N = %d\n\n", t.viewers)
		fmt.Fprintf(w, "| kind | rate, ratio | CPU, ratio | GB/s out | CPU-s per GB |\n|---|---|---|---|---|\n")
		for _, r := range t.rows() {
			fmt.Fprintf(w, "| %s | **%.2f** (%.2f–%.2f) | **%.2f** (%.2f–%.2f) | %.1f (%.1f–%.1f) | %.3f (%.3f–%.3f) |\n", r.kind,
				r.rateRatio.Median, r.rateRatio.Low, r.rateRatio.High,
				r.cpuRatio.Median, r.cpuRatio.Low, r.cpuRatio.High,
				r.rate.Median, r.rate.Low, r.rate.High,
				r.cpu.Median, r.cpu.Low, r.cpu.High)
		}
		if n := t.disturbed(quiet); n > 0 {
			fmt.Fprintf(w, "\n%d of %d runs stayed disturbed by other processes after %d attempts.\n", n, len(t.kinds)*rounds, attempts)
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
	if s.Send == "sendfile" {
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
	return fmt.Sprintf("%s, %s; %s; %s; runs during which others used more than %.2f CPUs were repeated", send, drain, congestion, cpus, quiet)
}

// disturbed counts the runs that were not quiet even at the last attempt.
func (t table) disturbed(quiet float64) (n int) {
	for _, samples := range t.samples {
		for _, s := range samples {
			if s.Others > quiet {
				n++
			}
		}
	}
	return n
}
