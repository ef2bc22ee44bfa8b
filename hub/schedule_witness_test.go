package hub_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A proof by random schedules is worth what happens in them. Each kind of event that the hub has a rule for is counted
// where it is seen from outside, and the test is not over before each has been seen.
const (
	sawSkip       = "a skip to a join point"
	sawTooSlow    = "a viewer cut for being too slow"
	sawStalled    = "a viewer cut for a stall"
	sawBlocked    = "a sink that would block"
	sawArchive    = "a viewer sent to the archive"
	sawRejoin     = "a viewer back in step from the archive"
	sawAgo        = "a viewer that begins in the past"
	sawGap        = "a gap in the archive"
	sawGapTold    = "a viewer that is told of a gap"
	sawSendfile   = "a viewer served by sendfile"
	sawReset      = "a viewer's connection that is reset"
	sawBroken     = "a sink that fails"
	sawTired      = "a viewer that leaves on its own account"
	sawEnd        = "a viewer that stays to the end"
	sawTakeover   = "a publisher that is taken over"
	sawRefused    = "a publisher that is refused"
	sawCancelled  = "a publisher that is cancelled"
	sawFailed     = "a publisher that fails"
	sawSourceRST  = "a publisher's connection that is reset"
	sawEpochs     = "a stream of several epochs"
	sawTorn       = "an epoch that ends within a unit"
	sawReader     = "a publisher that is a mere io.Reader"
	sawSocket     = "a publisher by TCP"
	sawWriter     = "a viewer that is a mere io.Writer"
	sawFollower   = "a viewer of a hub that follows"
	sawBeside     = "fast loops beside each other"
	sawUsedUp     = "a budget that is used up"
	sawNoPipe     = "no kernel pipe to be had"
	sawBlockStays = "a viewer that is waited for, to the end"
)

// witness counts what has been seen.
type witness struct {
	mu   sync.Mutex
	seen map[string]int
}

func newWitness() *witness { return &witness{seen: make(map[string]int)} }

// expected is everything there is to see over a backing.
func expected(noSplice bool) []string {
	all := []string{
		sawSkip, sawTooSlow, sawStalled, sawBlocked, sawArchive, sawRejoin, sawAgo, sawGap, sawGapTold, sawReset, sawBroken,
		sawTired, sawEnd, sawTakeover, sawRefused, sawCancelled, sawFailed, sawSourceRST, sawEpochs, sawTorn, sawReader,
		sawSocket, sawWriter, sawFollower, sawBeside, sawUsedUp, sawBlockStays,
	}
	if !noSplice && kernelHasPipes() {
		all = append(all, sawSendfile, sawNoPipe)
	}
	return all
}

func (w *witness) saw(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what]++
}

// missing returns what of these has not been seen.
func (w *witness) missing(of []string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(of), func(what string) bool { return w.seen[what] > 0 })
}

func (w *witness) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for what, n := range w.seen {
		fmt.Fprintf(&b, "%6d  %s\n", n, what)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
