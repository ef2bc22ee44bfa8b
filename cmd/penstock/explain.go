package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/address"
)

func newExplain() *cobra.Command {
	f := copyFlags{outputError: "warn"}
	asJSON := false
	cmd := &cobra.Command{
		Use:   "explain SOURCE DESTINATION...",
		Short: "Say which way the bytes of a copy would go, and why, without moving any",
		Long: `Say which way the bytes of a copy would go, and why, without moving any.

The addresses and flags are those of copy. Nothing is read, written or connected to: a file that is there is
looked at, and what is not there yet, or is beyond the network, has an end of its kind standing in for it. The kernel, and
the sandbox around this process, are asked.`,
		Example: `  penstock explain disk.img tcp://backup:9000
  penstock explain - rec.ts tcp://viewer:9001 --sum sha256 --json`,
		Args: usageArgs(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.outputs = append(args[2:], f.outputs...)
			j, err := f.job(cmd, args[:2])
			if err != nil {
				return &usageError{err}
			}
			edges, err := j.explain()
			if err != nil {
				return err
			}
			return printEdges(cmd.OutOrStdout(), edges, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, "one more destination: `ADDRESS` (repeatable)")
	flags.StringVar(&f.sum, "sum", "", "with a checksum: `ALGO`, as of copy")
	flags.VarP(&f.buffer, "buffer", "B", "with a buffer of `SIZE` for each destination")
	flags.BoolVar(&f.stable, "stable", false, "with bytes that are not to change meanwhile")
	flags.BoolVarP(&f.noSplice, "no-splice", "C", false, "through this process's memory only")
	flags.BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// explained is what is said of one destination.
type explained struct {
	Source      string        `json:"source"`
	Destination string        `json:"destination"`
	Path        penstock.Path `json:"path"`
	Why         string        `json:"why"`
}

// explain finds out which way the bytes would go to each destination.
func (j *copyJob) explain() (edges []explained, err error) {
	src, err := standIn(j.source, address.Source)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", j.source.Redacted(), err)
	}
	defer src.close()
	var ws []io.Writer
	var ends []*stand
	opts := j.options()
	for i, a := range j.destinations {
		dst, err := standIn(a, address.Destination)
		if err != nil {
			return nil, fmt.Errorf("destination %s: %w", a.Redacted(), err)
		}
		defer dst.close()
		ws, ends = append(ws, dst.writer), append(ends, dst)
		if q, is := j.queueOf(&a); is {
			opts = append(opts, penstock.WithQueue(i, q))
		}
	}
	if j.sum != "" {
		ws = append(ws, newChecksum(j.sum))
	}
	opts = append(opts, penstock.WithTee(ws[1:]...))
	e, err := penstock.Explain(ws[0], src.reader, opts...)
	if err != nil {
		return nil, err
	}
	for i, a := range j.destinations {
		one := e
		if e.Outputs != nil {
			one = e.Outputs[i]
		}
		why := one.Why
		for _, what := range []string{src.what, ends[i].what} {
			if what != "" {
				why += "; " + what
			}
		}
		edges = append(edges, explained{j.source.Redacted(), a.Redacted(), one.Path, why})
	}
	return edges, nil
}

func printEdges(w io.Writer, edges []explained, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(edges)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FROM\tTO\tPATH\tWHY")
	for _, e := range edges {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Source, e.Destination, e.Path, e.Why)
	}
	return t.Flush()
}
