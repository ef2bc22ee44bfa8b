package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock"
)

func newProbe() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Say what this kernel and this sandbox allow, and what follows from it",
		Long: `Say what this kernel and this sandbox allow, and what follows from it.

Each verb is tried on a byte. Where one is refused the bytes go another way: that is the answer, and the exit status
is 0. "untried" is what could not be tried, for want of descriptors for example.`,
		Example: `  penstock probe
  penstock probe --json | jq -r .splice.state`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out bytes.Buffer
			c := penstock.Probe()
			if asJSON {
				e := json.NewEncoder(&out)
				e.SetIndent("", "  ")
				if err := e.Encode(c); err != nil {
					return err
				}
			} else {
				printCapabilities(&out, c)
			}
			_, err := cmd.OutOrStdout().Write(out.Bytes())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// printCapabilities writes a table of the verbs, and one of the limits.
func printCapabilities(w io.Writer, c penstock.Capabilities) {
	fmt.Fprintf(w, "%s/%s", c.OS, c.Arch)
	if c.Kernel != "" {
		fmt.Fprintf(w, ", kernel %s", c.Kernel)
	}
	fmt.Fprint(w, "\n\n")

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VERB\tHERE\tTHEREFORE")
	for _, v := range []struct {
		name           string
		verb           penstock.Verb
		works, refused string
	}{
		{
			"splice", c.Splice,
			"pipes, sockets and files exchange bytes in the kernel",
			"bytes go through memory instead",
		},
		{
			"tee", c.Tee,
			"one stream goes to many without a copy",
			"many share the pages of a pipe in memory instead",
		},
		{
			"vmsplice", c.Vmsplice,
			"memory can be lent to a kernel pipe, if asked for",
			"memory is copied into kernel pipes instead",
		},
		{
			"sendfile", c.Sendfile,
			"a file goes to a socket without a pipe of ours",
			"a file goes through a pipe instead",
		},
		{
			"copy_file_range", c.CopyFileRange,
			"a file goes to a file, by reference if the disk can",
			"a file goes through a pipe instead",
		},
	} {
		fmt.Fprintf(t, "%s\t%s\t", v.name, verdict(v.verb))
		switch v.verb.State {
		case penstock.VerbWorks:
			fmt.Fprintln(t, v.works)
		case penstock.VerbRefused:
			fmt.Fprintln(t, v.refused)
		default:
			fmt.Fprintln(t, "whoever uses it will find out")
		}
	}
	t.Flush()
	if c.Pipes != (penstock.Pipes{}) { // there are some
		fmt.Fprintln(w)
		fmt.Fprintln(t, "LIMIT\tHERE")
		printLimits(t, c)
		t.Flush()
	}
}

// verdict is "works", or "refused: operation not permitted".
func verdict(v penstock.Verb) string {
	if v.Err == nil {
		return v.State.String()
	}
	return fmt.Sprintf("%v: %v", v.State, v.Err)
}

func printLimits(w io.Writer, c penstock.Capabilities) {
	p := c.Pipes
	switch {
	case p.Err != nil:
		fmt.Fprintf(w, "new pipe\tnone: %v\n", p.Err)
	case p.OverSoft:
		fmt.Fprintf(w, "new pipe\t%s only: this user's pipes have reached the soft limit\n", bytesOf(p.Default))
	default:
		fmt.Fprintf(w, "new pipe\t%s, can grow to %s\n", bytesOf(p.Default), bytesOf(p.Largest))
	}
	pages := func(n int) string { return fmt.Sprintf("%d pages, %s", n, bytesOf(n*c.PageSize)) }
	for _, l := range []struct {
		name string
		n    int
		show func(int) string
	}{
		{"pipe-max-size", p.MaxSize, bytesOf},
		{"pipe-user-pages-soft", p.Soft, pages},
		{"pipe-user-pages-hard", p.Hard, pages},
		{"open files", int(c.Files), strconv.Itoa},
	} {
		text := "none"
		switch {
		case l.n > 0:
			text = l.show(l.n)
		case l.n < 0 && !c.Proc:
			text = "unknown: /proc cannot be read"
		case l.n < 0:
			text = "unknown"
		}
		fmt.Fprintf(w, "%s\t%s\n", l.name, text)
	}
}

func bytesOf(n int) string { return humanize.IBytes(uint64(n)) }
