package main

import (
	"fmt"
	"os"
	"time"
)

// How often each kind is measured: more often where it matters who falls asleep first, as it does with small messages.
const (
	usualRounds   = 5
	messageRounds = 9
)

// nobody is a user without privileges.
const nobody = 65534

// comparisons are all that are made, with the goals that penstock has.
func comparisons() []comparison {
	var all []comparison
	add := func(c comparison) {
		if c.rounds == 0 {
			c.rounds = usualRounds
		}
		all = append(all, c)
	}
	const kib = 1 << 10
	beside := []string{kindIO, kindPenstock}
	faster := func(ratio float64, against ...string) []goal {
		return []goal{{kind: kindPenstock, against: against, ratio: ratio}}
	}
	size := func(n int) string {
		if n < kib {
			return fmt.Sprintf("%d B", n)
		}
		return fmt.Sprintf("%d KiB", n/kib)
	}

	for _, n := range []int{1 * kib, 4 * kib, 16 * kib, 64 * kib, 1024 * kib} {
		add(comparison{
			name: fmt.Sprintf("tcp-tcp/%d", n), title: "TCP to TCP, writes of " + size(n), sort: "stream",
			spec:   spec{From: overTCP, To: overTCP, Write: n},
			kinds:  []string{kindIO, kindPenstock, kindNoSplice, kindBuffer},
			goals:  faster(0.95, kindIO, kindNoSplice, kindBuffer),
			rounds: messageRounds,
		})
	}
	for _, n := range []int{1 * kib, 4 * kib, 16 * kib, 64 * kib} {
		add(comparison{
			name:  fmt.Sprintf("paced/%d", n),
			title: "TCP to TCP, a message of " + size(n) + " every 50 µs", sort: "paced",
			spec:   spec{From: overTCP, To: overTCP, Write: n, Every: 50 * time.Microsecond},
			kinds:  []string{kindIO, kindPenstock, kindNoSplice, kindBuffer},
			goals:  faster(1.05, kindIO, kindNoSplice, kindBuffer),
			rounds: messageRounds,
		})
	}
	for _, n := range []int{64, 1 * kib, 4 * kib, 16 * kib} {
		add(comparison{
			name:  fmt.Sprintf("round-trips/%d", n),
			title: "Round trips through CopyBoth, " + size(n), sort: "round trips",
			spec: spec{Write: n}, kinds: beside, goals: faster(0.95, kindIO), rounds: messageRounds,
		})
	}
	null := func(from, title string) {
		add(comparison{
			name: from + "-null", title: title, sort: "stream",
			spec: spec{From: from, To: os.DevNull, Write: 64 * kib}, kinds: beside, goals: faster(1, kindIO),
		})
	}
	stream := func(from, to, title string, ratio float64) {
		add(comparison{
			name: from + "-" + to, title: title, sort: "stream",
			spec: spec{From: from, To: to, Write: 64 * kib}, kinds: beside, goals: faster(ratio, kindIO),
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
			name: fmt.Sprintf("header/%d", n), title: "Header and file of " + size(n) + " to TCP", sort: "requests",
			spec: spec{Write: n}, kinds: beside, goals: faster(1, kindIO),
		})
	}
	for _, n := range []int{2, 4} {
		add(comparison{
			name: fmt.Sprintf("tee/%d", n), title: fmt.Sprintf("TCP to %d TCP sinks", n), sort: "stream",
			spec:  spec{From: overTCP, To: overTCP, Sinks: n, Write: 1024 * kib},
			kinds: []string{kindWriter, kindWriter32, kindTee},
			goals: []goal{{kind: kindTee, against: []string{kindWriter, kindWriter32}, ratio: 1.7}},
		})
	}
	add(comparison{
		name: "options", title: "What options cost: TCP to TCP, writes of 1 MiB", sort: "stream",
		spec:   spec{From: overTCP, To: overTCP, Write: 1024 * kib, For: 500 * time.Millisecond},
		kinds:  []string{kindPenstock, kindOptions},
		goals:  []goal{{kind: kindOptions, against: []string{kindPenstock}, ratio: 0.98}},
		rounds: 25,
	})
	idle := func(uid int, who string) {
		add(comparison{
			name: "idle/" + who, title: "8,000 idle connections as " + who, sort: "idle",
			spec: spec{Conns: 8000, UID: uid, For: 10 * time.Second}, kinds: beside, rounds: 1,
			goals: []goal{
				{kind: kindPenstock, against: []string{kindIO}, metric: 0, ratio: 0.34},
				{kind: kindPenstock, against: []string{kindIO}, metric: 1, ratio: 0.7},
				{kind: kindPenstock, against: []string{kindIO}, metric: 2, ratio: 0.7},
			},
		})
	}
	idle(os.Getuid(), map[bool]string{true: "root", false: "user"}[os.Getuid() == 0])
	if os.Getuid() == 0 {
		idle(nobody, "nobody")
	}
	return all
}
