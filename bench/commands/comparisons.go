package main

import "math"

// kind is a program, or a few that are connected by pipes.
type kind struct {
	name  string
	stage [][]string // of each its arguments; PENSTOCK, IN, OUT, FROM and TO stand for what is known later
}

func one(name string, argv ...string) kind { return kind{name, [][]string{argv}} }

// comparison is several kinds that do the same. The first is penstock copy.
type comparison struct {
	name  string // for -run
	title string
	sort  sort
	kinds []kind
	goals []goal
}

// sort is of runs.
type sort int

const (
	filters  sort = iota // cat IN | X | cat >/dev/null
	fromTCP              // FROM | X, where X writes to TO, or to OUT
	fromFile             // X reads IN, and writes to TO
	starts               // X alone, which has nothing to do
	small                // echo x | X
)

// goal is what penstock copy is to reach, against another kind.
type goal struct {
	against string // empty: the value itself
	metric  int
	least   float64
	most    float64
}

// The metrics of a stream, and those of a start.
const (
	rate = iota
	cpu

	wall = 0
)

func atLeast(times float64, against string) goal { return goal{against, rate, times, math.Inf(1)} }
func atMost(times float64, against string) goal  { return goal{against, cpu, 0, times} }

func comparisons() []comparison {
	none := []goal{atLeast(2, "tee"), atLeast(2, "mbuffer"), atLeast(1, "pv"), atLeast(1, "cat")}
	third := []goal{atMost(1.0/3, "tee"), atMost(1.0/3, "mbuffer")}
	sockets := []goal{atLeast(2, "socat"), atLeast(1, "nc"), atMost(1, "socat")}
	return []comparison{
		{
			name: "filter", title: "A filter: cat FILE | X | cat >/dev/null", sort: filters,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-", "-"),
				one("cat", "cat"),
				one("pv", "pv", "-q"),
				one("tee", "tee"),
				one("mbuffer", "mbuffer", "-q"),
				one("penstock --buffer", "PENSTOCK", "copy", "--buffer", "2MiB", "-", "-"),
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "-", "-"),
			},
			goals: append(none, third...),
		},
		{
			name: "progress", title: "The same, and both show their progress", sort: filters,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-f", "-", "-"),
				one("pv", "pv", "-f"),
			},
			goals: []goal{atLeast(1, "pv")},
		},
		{
			name: "tee", title: "With a second output, a file: cat FILE | X | cat >/dev/null", sort: filters,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-", "-", "-o", "OUT"),
				one("tee", "tee", "OUT"),
				one("mbuffer", "mbuffer", "-q", "-o", "-", "-o", "OUT"),
				{"pv and tee", [][]string{{"pv", "-q"}, {"tee", "OUT"}}},
				one("penstock --buffer", "PENSTOCK", "copy", "--buffer", "2MiB", "-", "-", "-o", "OUT"),
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "-", "-", "-o", "OUT"),
			},
			goals: append([]goal{atLeast(2, "tee"), atLeast(2, "mbuffer"), atLeast(1, "pv and tee")}, third...),
		},
		{
			name: "tcp-tcp", title: "TCP to TCP", sort: fromTCP,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "FROM", "TO"),
				one("socat", "socat", "-u", "TCP:FROM", "TCP:TO"),
				one("socat, 1 MiB", "socat", "-u", "-b", "1048576", "TCP:FROM", "TCP:TO"),
				{"nc", [][]string{{"nc", "-d", "FROMHOST", "FROMPORT"}, {"nc", "-N", "TOHOST", "TOPORT"}}},
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "FROM", "TO"),
			},
			goals: sockets,
		},
		{
			name: "file-tcp", title: "A file to TCP", sort: fromFile,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "IN", "TO"),
				one("socat", "socat", "-u", "OPEN:IN,rdonly", "TCP:TO"),
				one("socat, 1 MiB", "socat", "-u", "-b", "1048576", "OPEN:IN,rdonly", "TCP:TO"),
				{"nc", [][]string{{"cat", "IN"}, {"nc", "-N", "TOHOST", "TOPORT"}}},
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "IN", "TO"),
			},
			goals: sockets,
		},
		{
			name: "tcp-file", title: "TCP to a file", sort: fromTCP,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "FROM", "OUT"),
				one("socat", "socat", "-u", "TCP:FROM", "CREATE:OUT"),
				one("socat, 1 MiB", "socat", "-u", "-b", "1048576", "TCP:FROM", "CREATE:OUT"),
				{"nc", [][]string{{"nc", "-d", "FROMHOST", "FROMPORT"}, {"dd", "of=OUT", "bs=64k", "status=none"}}},
				one("penstock --no-splice", "PENSTOCK", "copy", "--no-splice", "FROM", "OUT"),
			},
			goals: sockets,
		},
		{
			name: "start", title: "To start, and end at once", sort: starts,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "null:", "null:"),
				one("cat", "cat", "/dev/null"),
				one("pv", "pv", "-q", "/dev/null"),
				one("socat", "socat", "-u", "/dev/null", "/dev/null"),
			},
			goals: []goal{{"", wall, 0, 15}},
		},
		{
			name: "small", title: "A small pipeline: echo x | X | cat", sort: small,
			kinds: []kind{
				one("penstock", "PENSTOCK", "copy", "-", "-"),
				one("cat", "cat"),
				one("pv", "pv", "-q"),
				one("tee", "tee"),
				one("mbuffer", "mbuffer", "-q"),
			},
			goals: []goal{{"", wall, 0, 15}},
		},
	}
}
