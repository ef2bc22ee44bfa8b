package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock"
)

const (
	defaultBenchSize = size(64 << 20)  // more than most processors' caches hold
	largestBenchSize = size(128 << 20) // there are two files of it
	defaultBenchTime = 400 * time.Millisecond
)

// benchFlags is the command line of bench as it was given.
type benchFlags struct {
	dir    string
	size   size
	time   time.Duration
	asJSON bool
}

func newBench() *cobra.Command {
	f := benchFlags{size: defaultBenchSize}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what each path reaches on this machine, in ten seconds",
		Long: `Measure what each path reaches on this machine, in ten seconds.

Bytes are moved between each pair of ends three times over: as penstock moves them, as it does with --no-splice, and by
Go's io.Copy. The measurements take turns, in rounds, and the table has the medians:

  PATH      the path that was taken
  GB/s      10^9 bytes per second
  CPU s/GB  seconds of processor time, user and system, for 10^9 bytes
  RATIO     of the throughput to that of read(2) and write(2) between the same ends

On Linux whoever feeds the sources and drains the sinks is another process, whose processor time does not count;
elsewhere it cannot be told, and is left out. What the kernel does for a peer on behalf of a sender counts as the
sender's: on loopback that is most of TCP. The feeder and the drain need processors, too: with fewer than three they
share with what is measured, and the rates are lower than the processor time alone would allow.

Files stay in the page cache, and are written over and over: a disk's own speed does not show. There are two, of --size
each. They lose their names as soon as they are open, so nothing of them is left, however this ends.`,
		Example: `  penstock bench
  penstock bench --json | jq -r '.rows[] | [.from, .to, .path] | @tsv'
  penstock bench --dir /dev/shm --time 2s`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return &usageError{err}
			}
			stderr := cmd.ErrOrStderr()
			b := &bench{benchFlags: f, terminal: isTerminal(stderr), say: func(format string, args ...any) {
				fmt.Fprintf(stderr, "penstock: "+format+"\n", args...)
			}}
			result, err := b.run(cmd.Context())
			if err != nil {
				return err
			}
			return result.print(cmd.OutOrStdout(), f.asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "", "`DIR` for the files; empty is the system's for temporary files")
	flags.Var(&f.size, "size", "`SIZE` of each of the two files, and of what is moved at a time, up to 128MiB")
	flags.DurationVar(&f.time, "time", defaultBenchTime, "how long each row of the table is measured")
	flags.BoolVar(&f.asJSON, "json", false, "print it as JSON")
	if err := cmd.MarkFlagDirname("dir"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// isTerminal tells whether somebody may be reading along, or takes what is written for nothing.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

func (f *benchFlags) check() error {
	switch {
	case f.size > largestBenchSize:
		return fmt.Errorf("--size %v: want %v at most", &f.size, bytesOf(int(largestBenchSize)))
	case f.time <= 0:
		return fmt.Errorf("--time %v: want more than 0", f.time)
	}
	if f.dir == "" {
		f.dir = os.TempDir()
	}
	return nil
}

// benchResult is what was measured.
type benchResult struct {
	OS     string     `json:"os"`
	Arch   string     `json:"arch"`
	CPUs   int        `json:"cpus"`
	Dir    string     `json:"dir"`
	Size   int64      `json:"size"`   // bytes
	Rounds int        `json:"rounds"` // of which the medians are
	Rows   []benchRow `json:"rows"`
}

// benchRow is one pair of ends, one way.
type benchRow struct {
	From string        `json:"from"`
	To   string        `json:"to"`
	Way  benchWay      `json:"way"`
	Path penstock.Path `json:"path"` // "io.Copy" if that does not tell

	BytesPerSecond  float64  `json:"bytes_per_second"`
	CPUSecondsPerGB *float64 `json:"cpu_seconds_per_gb"` // null where it cannot be told
	Ratio           float64  `json:"ratio"`              // of the rate to that of read and write

	Error string `json:"error,omitempty"` // of an io.Copy that this machine allows no way for: there are no figures then
}

func newBenchResult(f *benchFlags) *benchResult {
	return &benchResult{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
		Dir: f.dir, Size: int64(f.size),
	}
}

func (r *benchResult) print(w io.Writer, asJSON bool) error {
	var out bytes.Buffer
	if asJSON {
		e := json.NewEncoder(&out)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return err
		}
	} else {
		r.printTable(&out)
	}
	_, err := w.Write(out.Bytes())
	return err
}

func (r *benchResult) printTable(w io.Writer) {
	fmt.Fprintf(w, "%s/%s, %s, files of %s in %s, medians of %d\n\n",
		r.OS, r.Arch, processors(r.CPUs), bytesOf(int(r.Size)), r.Dir, r.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FROM\tTO\tPATH\t GB/s\tCPU s/GB\tRATIO")
	for _, row := range r.Rows {
		if row.Error != "" {
			fmt.Fprintf(t, "%s\t%s\t%s\t    -\t       -\t    -  %s\n", row.From, row.To, row.Path, row.Error)
			continue
		}
		cpu := "       -"
		if row.CPUSecondsPerGB != nil {
			cpu = fmt.Sprintf("%8.3f", *row.CPUSecondsPerGB)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%5.2f\t%s\t%5.2f\n",
			row.From, row.To, row.Path, row.BytesPerSecond/1e9, cpu, row.Ratio)
	}
	t.Flush()
}

func processors(n int) string {
	if n == 1 {
		return "1 processor"
	}
	return fmt.Sprintf("%d processors", n)
}
