package main

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/bench/internal/rounds"
)

// comparison is several kinds that do the same.
type comparison = rounds.Comparison[kind, run]

func comparisons() (all []comparison) {
	add := func(name, title string, r run, kinds []kind, goals ...rounds.Goal) {
		all = append(all, comparison{Name: name, Title: title, Run: r, Metrics: r.metrics(), Kinds: kinds, Goals: goals})
	}
	for _, n := range []int{1, 4, 64} {
		title := fmt.Sprintf("Streams, %d connections", n)
		if n == 1 {
			title = "A stream"
		}
		kinds := slices.Concat(relays(), streamers())
		add(fmt.Sprintf("bulk-%d", n), title, bulk{conns: n}, kinds,
			reach(rate, 1, goCopy), reach(rate, 2, "HAProxy, splice-auto"), reach(rate, 1, "HAProxy"))
	}
	for _, size := range []int{64, 1 << 10, 4 << 10, 16 << 10} {
		add(fmt.Sprintf("trips-%d", size), fmt.Sprintf("Round trips of %d bytes", size), trips{size}, relays(),
			reach(median, 1.05, peers(relays())...), reach(high, 1.05, peers(relays())...))
	}
	add("short", fmt.Sprintf("Short connections, %d at a time", clientsAtOnce), short{}, relays(),
		reach(perSecond, 0.7, "HAProxy"))

	mirrors := []kind{
		penstock(ours), penstock(withSocket, toMirror), penstock(withNull, "null:"),
		iocopy(goCopy, false), iocopy("io.Copy, MultiWriter", true),
	}
	costs := []rounds.Goal{
		{Kind: withSocket, Against: []string{ours}, Metric: rateCPU, Times: 1.6},
		{Kind: withNull, Against: []string{ours}, Metric: rateCPU, Times: 1.1},
		{Kind: withSocket, Metric: share, Times: 1},
	}
	const pace = 400e6
	add("mirror-paced", "A stream of 400 MB/s with a mirror", bulk{1, pace}, mirrors, costs...)
	add("mirror-paced-4", "Four streams, of 400 MB/s together, with mirrors", bulk{4, pace}, mirrors, costs...)
	add("mirror-1", "A stream with a mirror, as fast as can be", bulk{conns: 1}, mirrors)
	add("mirror-trips", "Round trips of 64 bytes with a mirror", trips{64}, mirrors)
	add("mirror-short", "Short connections with a mirror", short{}, mirrors)

	holding := slices.DeleteFunc(relays(), func(k kind) bool { return k.program == "" })
	add("idle", "An idle connection", idle{}, holding, reach(descriptors, 2.1))
	return all
}

// reach is a goal of ours.
func reach(metric int, times float64, against ...string) rounds.Goal {
	return rounds.Goal{Against: against, Metric: metric, Times: times}
}
