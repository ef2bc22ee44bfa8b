package main

import (
	"fmt"
	"math"
)

// comparison is several kinds that are measured alike.
type comparison struct {
	name  string // for -run
	title string
	run   run
	kinds []kind
	goals []goal
}

// goal is what a kind is to reach, against another one.
type goal struct {
	kind    string
	against string // empty: the value itself; best: whoever has least in the round
	metric  int
	least   float64
	most    float64
}

const best = "the best"

func atLeast(metric int, times float64, against string) goal {
	return goal{ours, against, metric, times, math.Inf(1)}
}

func atMost(metric int, times float64, against string) goal {
	return goal{ours, against, metric, 0, times}
}

// The kinds of the comparison of mirrors.
const (
	withSocket = "penstock, to a socket"
	withNull   = "penstock, to null:"
)

func comparisons() (all []comparison) {
	for _, n := range []int{1, 4, 64} {
		title := fmt.Sprintf("Streams, %d connections", n)
		if n == 1 {
			title = "A stream"
		}
		all = append(all, comparison{
			name: fmt.Sprintf("bulk-%d", n), title: title, run: bulk{conns: n}, kinds: relays(),
			goals: []goal{atLeast(rate, 1, goCopy), atLeast(rate, 2, haproxy)},
		})
	}
	for _, size := range []int{64, 1 << 10, 4 << 10, 16 << 10} {
		all = append(all, comparison{
			name: fmt.Sprintf("trips-%d", size), title: fmt.Sprintf("Round trips of %d bytes", size), run: trips{size},
			kinds: relays(), goals: []goal{atMost(median, 1.05, best), atMost(high, 1.05, best)},
		})
	}
	mirrors := []kind{
		penstock(ours), penstock(withSocket, toMirror), penstock(withNull, "null:"),
		iocopy(goCopy, false), iocopy("io.Copy, MultiWriter", true),
	}
	costs := []goal{
		{withSocket, ours, rateCPU, 0, 1.6},
		{withNull, ours, rateCPU, 0, 1.1},
		{withSocket, "", share, 0.999, 1.001},
	}
	return append(all,
		comparison{
			name: "short", title: fmt.Sprintf("Short connections, %d at a time", clientsAtOnce), run: short{}, kinds: relays(),
			goals: []goal{atLeast(perSecond, 0.7, haproxy)},
		},
		comparison{
			name: "mirror-paced", title: "A stream of 400 MB/s with a mirror", run: bulk{1, 400e6}, kinds: mirrors, goals: costs,
		},
		comparison{
			name: "mirror-paced-4", title: "Four streams, of 400 MB/s together, with mirrors", run: bulk{4, 400e6}, kinds: mirrors,
			goals: costs,
		},
		comparison{name: "mirror-1", title: "A stream with a mirror, as fast as can be", run: bulk{conns: 1}, kinds: mirrors},
		comparison{name: "mirror-trips", title: "Round trips of 64 bytes with a mirror", run: trips{64}, kinds: mirrors},
		comparison{name: "mirror-short", title: "Short connections with a mirror", run: short{}, kinds: mirrors},
		comparison{
			name: "idle", title: "An idle connection", run: idle{}, kinds: relays(),
			goals: []goal{atMost(descriptors, 2.1, "")},
		},
	)
}
