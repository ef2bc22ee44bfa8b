package main

import (
	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// kind is a program, or a few that are connected by pipes.
type kind struct {
	name  string
	stage [][]string // of each its arguments; PENSTOCK, IN, OUT, FROM and TO stand for what is known later
}

func one(name string, argv ...string) kind { return kind{name, [][]string{argv}} }

// String is its name.
func (k kind) String() string { return k.name }

// comparison is several kinds that do the same. The first is penstock copy.
type comparison = rounds.Comparison[kind, sort]

// sort is of runs.
type sort int

const (
	filters  sort = iota // cat IN | X | cat >/dev/null
	fromTCP              // FROM | X, where X writes to TO, or to OUT
	fromFile             // X reads IN, and writes to TO
	starts               // X alone, which has nothing to do
	small                // echo x | X
)

// The metrics of a stream, and those of a start.
const (
	rate = iota
	cpu

	wall = 0
)

var (
	streamMetrics = []table.Metric{
		{Name: "GB/s", Format: "%.2f", Ratio: "rate ratio", More: true},
		{Name: "CPU-s/GB", Format: "%.3f", Ratio: "CPU ratio"},
	}
	startMetrics = []table.Metric{
		{Name: "ms", Format: "%.1f", Ratio: "time ratio"}, {Name: "CPU ms", Format: "%.1f", Ratio: "CPU ratio"},
	}
)

func atLeast(times float64, against string) rounds.Goal {
	return rounds.Goal{Against: []string{against}, Metric: rate, Times: times}
}

func atMost(times float64, against string) rounds.Goal {
	return rounds.Goal{Against: []string{against}, Metric: cpu, Times: times}
}

func comparisons() []comparison {
	none := []rounds.Goal{atLeast(2, "tee"), atLeast(2, "mbuffer"), atLeast(1, "pv"), atLeast(1, "cat")}
	third := []rounds.Goal{atMost(1.0/3, "tee"), atMost(1.0/3, "mbuffer")}
	sockets := []rounds.Goal{atLeast(2, "socat"), atLeast(1, "nc"), atMost(1, "socat")}
	return []comparison{
		{
			Name: "filter", Title: "A filter: cat FILE | X | cat >/dev/null", Run: filters, Metrics: streamMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-", "-"),
				one("cat", "cat"),
				one("pv", "pv", "-q"),
				one("tee", "tee"),
				one("mbuffer", "mbuffer", "-q"),
				one("penstock --buffer", "PENSTOCK", "copy", "--buffer", "2MiB", "-", "-"),
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "-", "-"),
			},
			Goals: append(none, third...),
		},
		{
			Name: "progress", Title: "The same, and both show their progress", Run: filters, Metrics: streamMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-f", "-", "-"),
				one("pv", "pv", "-f"),
			},
			Goals: []rounds.Goal{atLeast(1, "pv")},
		},
		{
			Name: "tee", Title: "With a second output, a file: cat FILE | X | cat >/dev/null", Run: filters, Metrics: streamMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-", "-", "-o", "OUT"),
				one("tee", "tee", "OUT"),
				one("mbuffer", "mbuffer", "-q", "-o", "-", "-o", "OUT"),
				{"pv and tee", [][]string{{"pv", "-q"}, {"tee", "OUT"}}},
				one("penstock --buffer", "PENSTOCK", "copy", "--buffer", "2MiB", "-", "-", "-o", "OUT"),
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "-", "-", "-o", "OUT"),
			},
			Goals: append([]rounds.Goal{atLeast(2, "tee"), atLeast(2, "mbuffer"), atLeast(1, "pv and tee")}, third...),
		},
		{
			Name: "tcp-tcp", Title: "TCP to TCP", Run: fromTCP, Metrics: streamMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "FROM", "TO"),
				one("socat", "socat", "-u", "TCP:FROM", "TCP:TO"),
				one("socat, 1 MiB", "socat", "-u", "-b", "1048576", "TCP:FROM", "TCP:TO"),
				{"nc", [][]string{{"nc", "-d", "FROMHOST", "FROMPORT"}, {"nc", "-N", "TOHOST", "TOPORT"}}},
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "FROM", "TO"),
			},
			Goals: sockets,
		},
		{
			Name: "file-tcp", Title: "A file to TCP", Run: fromFile, Metrics: streamMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "IN", "TO"),
				one("socat", "socat", "-u", "OPEN:IN,rdonly", "TCP:TO"),
				one("socat, 1 MiB", "socat", "-u", "-b", "1048576", "OPEN:IN,rdonly", "TCP:TO"),
				{"nc", [][]string{{"cat", "IN"}, {"nc", "-N", "TOHOST", "TOPORT"}}},
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "IN", "TO"),
			},
			Goals: sockets,
		},
		{
			Name: "tcp-file", Title: "TCP to a file", Run: fromTCP, Metrics: streamMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "FROM", "OUT"),
				one("socat", "socat", "-u", "TCP:FROM", "CREATE:OUT"),
				one("socat, 1 MiB", "socat", "-u", "-b", "1048576", "TCP:FROM", "CREATE:OUT"),
				{"nc", [][]string{{"nc", "-d", "FROMHOST", "FROMPORT"}, {"dd", "of=OUT", "bs=64k", "status=none"}}},
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "FROM", "OUT"),
			},
			Goals: sockets,
		},
		{
			Name: "start", Title: "To start, and end at once", Run: starts, Metrics: startMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "null:", "null:"),
				one("cat", "cat", "/dev/null"),
				one("pv", "pv", "-q", "/dev/null"),
				one("socat", "socat", "-u", "/dev/null", "/dev/null"),
			},
			Goals: []rounds.Goal{{Metric: wall, Times: 15}},
		},
		{
			Name: "small", Title: "A small pipeline: echo x | X | cat", Run: small, Metrics: startMetrics,
			Kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-", "-"),
				one("cat", "cat"),
				one("pv", "pv", "-q"),
				one("tee", "tee"),
				one("mbuffer", "mbuffer", "-q"),
			},
			Goals: []rounds.Goal{{Metric: wall, Times: 15}},
		},
	}
}
