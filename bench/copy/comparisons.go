package main

import (
	"fmt"
	"os"
	"time"

	"github.com/penstock-io/penstock/bench/internal/rounds"
)

// How often each kind is measured: more often where it matters who falls asleep first, as it does with small messages.
const (
	usualRounds   = 5
	messageRounds = 9
)

// kind is what copies: a key of its sort's kinds.
type kind string

func (k kind) String() string { return string(k) }

// comparison is several kinds that do the same, as its spec says.
type comparison = rounds.Comparison[kind, spec]

// nobody is a user without privileges.
const nobody = 65534

// comparisons are all that are made, with the goals that penstock has.
func comparisons() []comparison {
	var all []comparison
	add := func(c comparison) {
		if c.Rounds == 0 {
			c.Rounds = usualRounds
		}
		c.Metrics = sorts[c.Run.Case].metrics
		all = append(all, c)
	}
	const kib = 1 << 10
	beside := []kind{kindIO, kindPenstock}
	faster := func(ratio float64, against ...string) []rounds.Goal {
		return []rounds.Goal{{Against: against, Times: ratio}}
	}
	size := func(n int) string {
		if n < kib {
			return fmt.Sprintf("%d B", n)
		}
		return fmt.Sprintf("%d KiB", n/kib)
	}

	for _, n := range []int{1 * kib, 4 * kib, 16 * kib, 64 * kib, 1024 * kib} {
		add(comparison{
			Name: fmt.Sprintf("tcp-tcp/%d", n), Title: "TCP to TCP, writes of " + size(n),
			Run:    spec{Case: "stream", From: overTCP, To: overTCP, Write: n},
			Kinds:  []kind{kindIO, kindPenstock, kindNoSplice, kindBuffer},
			Goals:  faster(0.95, kindIO, kindNoSplice, kindBuffer),
			Rounds: messageRounds,
		})
	}
	for _, n := range []int{1 * kib, 4 * kib, 16 * kib, 64 * kib} {
		add(comparison{
			Name:   fmt.Sprintf("paced/%d", n),
			Title:  "TCP to TCP, a message of " + size(n) + " every 50 µs",
			Run:    spec{Case: "paced", From: overTCP, To: overTCP, Write: n, Every: 50 * time.Microsecond},
			Kinds:  []kind{kindIO, kindPenstock, kindNoSplice, kindBuffer},
			Goals:  faster(1.05, kindIO, kindNoSplice, kindBuffer),
			Rounds: messageRounds,
		})
	}
	for _, n := range []int{64, 1 * kib, 4 * kib, 16 * kib} {
		add(comparison{
			Name:  fmt.Sprintf("round-trips/%d", n),
			Title: "Round trips through CopyBoth, " + size(n),
			Run:   spec{Case: "round trips", Write: n}, Kinds: beside, Goals: faster(0.95, kindIO), Rounds: messageRounds,
		})
	}
	null := func(from, title string) {
		add(comparison{
			Name: from + "-null", Title: title,
			Run: spec{Case: "stream", From: from, To: os.DevNull, Write: 64 * kib}, Kinds: beside, Goals: faster(1, kindIO),
		})
	}
	stream := func(from, to, title string, ratio float64) {
		add(comparison{
			Name: from + "-" + to, Title: title,
			Run: spec{Case: "stream", From: from, To: to, Write: 64 * kib}, Kinds: beside, Goals: faster(ratio, kindIO),
		})
	}
	stream(byPipe, byPipe, "Pipe to pipe", 1.3)
	stream(byStdio, byStdio, "Pipe to pipe, both blocking, as standard input and output are", 1.3)
	stream(overTCP, onTmpfs, "TCP to a file on tmpfs", 1)
	stream(overTCP, onDisk, "TCP to a file on disk", 1)
	stream(onTmpfs, overTCP, "File on tmpfs to TCP", 1)
	stream(onDisk, overTCP, "File on disk, in the page cache, to TCP", 1)
	stream(onTmpfs, onTmpfs, "File to file on tmpfs", 1)
	stream(onDisk, onDisk, "File to file on disk, in the page cache", 1)

	null(overTCP, "TCP to the null device")

	for _, n := range []int{4 * kib, 16 * kib, 64 * kib, 256 * kib, 1024 * kib} {
		add(comparison{
			Name: fmt.Sprintf("header/%d", n), Title: "Header and file of " + size(n) + " to TCP",
			Run: spec{Case: "requests", Write: n}, Kinds: beside, Goals: faster(1, kindIO),
		})
	}
	for _, n := range []int{2, 4} {
		add(comparison{
			Name: fmt.Sprintf("tee/%d", n), Title: fmt.Sprintf("TCP to %d TCP sinks", n),
			Run:   spec{Case: "stream", From: overTCP, To: overTCP, Sinks: n, Write: 1024 * kib},
			Kinds: []kind{kindWriter, kindWriter32, kindTee},
			Goals: []rounds.Goal{{Kind: kindTee, Against: []string{kindWriter, kindWriter32}, Times: 1.7}},
		})
	}
	add(comparison{
		Name: "options", Title: "What options cost: TCP to TCP, writes of 1 MiB",
		Run:    spec{Case: "stream", From: overTCP, To: overTCP, Write: 1024 * kib, For: 500 * time.Millisecond},
		Kinds:  []kind{kindPenstock, kindOptions},
		Goals:  []rounds.Goal{{Kind: kindOptions, Against: []string{kindPenstock}, Times: 0.98}},
		Rounds: 25,
	})
	idle := func(uid int, who string) {
		add(comparison{
			Name: "idle/" + who, Title: "8,000 idle connections as " + who,
			Run: spec{Case: "idle", Conns: 8000, UID: uid, For: 10 * time.Second}, Kinds: beside, Rounds: 1,
			Goals: []rounds.Goal{
				{Against: []string{kindIO}, Metric: 0, Times: 0.34},
				{Against: []string{kindIO}, Metric: 1, Times: 0.7},
				{Against: []string{kindIO}, Metric: 2, Times: 0.7},
			},
		})
	}
	idle(os.Getuid(), map[bool]string{true: "root", false: "user"}[os.Getuid() == 0])
	if os.Getuid() == 0 {
		idle(nobody, "nobody")
	}
	return all
}
