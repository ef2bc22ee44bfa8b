package penstock_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// The run that "go test" makes. PENSTOCK_SOAK, a duration, makes it go on for so long; PENSTOCK_SEED makes it the one of
// that seed, as told by a run that failed.
const (
	seedsPerRun  = 10
	stepsPerSeed = 15_000
)

// maxSlots is the longest ring, within the pipe-max-size that anyone may have.
const maxSlots = 32

// TestPipeDoesWhatTheKernelDoes takes random steps on three pipes of each backing, and after each looks whether they
// have come to the same and can be told apart.
//
// Where Pipe promises something else, the step is not taken or the kernel's answer is put as Pipe's, there and nowhere
// else:
//
//   - A transfer of no bytes succeeds even where the end is closed; the kernel looks a descriptor up first, except for
//     splice and tee. (kernelWorld.outcome)
//   - A pipe into itself and a negative size are EINVAL even where an end is closed; see above. (kernelWorld.outcome)
//   - A write cut short comes with ErrWouldBlock, as io.Writer demands. (memoryWorld.do)
//   - CloseRead releases what is held; the kernel keeps it, where nobody gets at it, until both ends are closed, and it
//     still stands in the way of a shorter ring. (steps.resize)
//   - A ring of 0 slots is EINVAL; the kernel takes a size of 0 bytes for one page. (steps.resize)
func TestPipeDoesWhatTheKernelDoes(t *testing.T) {
	pattern := newPattern(t, maxSlots+2)
	if s := os.Getenv("PENSTOCK_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, pattern, seed)
		return
	}
	soak, err := time.ParseDuration(cmp.Or(os.Getenv("PENSTOCK_SOAK"), "0"))
	if err != nil {
		t.Fatal(err)
	}
	start, runs := time.Now(), 0
	for runs < seedsPerRun || time.Since(start) < soak {
		compare(t, pattern, rand.Uint64())
		runs++
	}
	t.Logf("%d steps from %d seeds in %v", runs*stepsPerSeed, runs, time.Since(start).Round(time.Millisecond))
}

// compare takes the steps of one seed, in both worlds. The kernel goes first: what it grants of its budget is granted to
// Pipe.
func compare(t *testing.T, pattern []byte, seed uint64) {
	t.Helper()
	pages := penstock.PagesInUse()
	kernel := newKernelWorld(t, pattern)
	defer kernel.close()
	memory := &memoryWorld{pattern: pattern, into: make([]byte, len(pattern))}
	s := &steps{rng: rand.New(rand.NewPCG(seed, 0)), pattern: len(pattern)}
	var last trail
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\nat step %d of PENSTOCK_SEED=%#x\n%s", fmt.Sprintf(format, args...), last.steps, seed, &last)
	}
	for range stepsPerSeed {
		o := s.next()
		want := kernel.do(o)
		if o.verb == doResize && want.err == syscall.EPERM {
			continue // the user's budget, which is not the pipe's
		}
		if o.verb == doOpen {
			o.n = want.n
		}
		last.add(o, want)
		got := memory.do(o)
		if got.n != want.n || got.err != want.err {
			fail("%v: the kernel: %v, Pipe: %v", o, want, got)
		}
		if !bytes.HasPrefix(got.data, want.data) || o.verb != doPeek && len(got.data) != len(want.data) {
			fail("%v: other bytes than the kernel's", o)
		}
		s.took(o, want)
		for i := range pipesPerWorld {
			if memory.pipes[i] == nil {
				continue
			}
			want, err := kernel.state(i)
			if err != nil {
				fail("%v", err)
			}
			got, err := memory.state(i)
			if err != nil {
				fail("%v", err)
			}
			if want.held < 0 {
				got.held = want.held
			}
			if want.slots < 0 {
				got.slots = want.slots
			}
			if got != want {
				fail("p%d after %v: the kernel: %+v, Pipe: %+v", i, o, want, got)
			}
		}
	}
	memory.close()
	if after := penstock.PagesInUse(); after != pages || memory.lent != 0 {
		fail("pages in use: %d before, %d after; %d buffers not released", pages, after, memory.lent)
	}
}

// trail is the last steps, for who has to find out what led to a failure.
type trail struct {
	steps int
	ops   [24]op
	came  [24]outcome
}

func (l *trail) add(o op, came outcome) {
	l.ops[l.steps%len(l.ops)], l.came[l.steps%len(l.ops)] = o, came
	l.steps++
}

func (l *trail) String() string {
	var s strings.Builder
	for i := max(0, l.steps-len(l.ops)); i < l.steps; i++ {
		fmt.Fprintf(&s, "%8d  %v = %v\n", i+1, l.ops[i%len(l.ops)], l.came[i%len(l.ops)])
	}
	return s.String()
}

// steps chooses them. What it knows of the pipes serves to keep the run lively.
type steps struct {
	rng     *rand.Rand
	pattern int // bytes of it
	pipes   [pipesPerWorld]struct {
		open, readClosed, writeClosed bool
		slots                         int
	}
}

// weights are how often a step is taken, of their sum.
var weights = []struct {
	verb verb
	of   int
}{
	{doWrite, 220},
	{doRead, 200},
	{doSplice, 160},
	{doTee, 100},
	{doVmsplice, 100},
	{doDiscard, 50},
	{doPeek, 50},
	{doResize, 40},
	{doFill, 8},
	{doCloseRead, 5},
	{doCloseWrite, 8},
	{doOpen, 20},
}

func (s *steps) next() op {
	for i := range s.pipes {
		if !s.pipes[i].open {
			return s.opening(i)
		}
	}
	total := 0
	for _, w := range weights {
		total += w.of
	}
	at, i := s.rng.IntN(total), 0
	for at >= weights[i].of {
		at -= weights[i].of
		i++
	}
	o := op{verb: weights[i].verb, p: s.rng.IntN(pipesPerWorld), n: s.size()}
	switch o.verb {
	case doOpen:
		return s.opening(s.worn(o.p))
	case doSplice, doTee:
		if o.q = (o.p + 1 + s.rng.IntN(pipesPerWorld-1)) % pipesPerWorld; s.rng.IntN(32) == 0 {
			o.q = o.p
		}
	case doWrite:
		o.at = s.rng.IntN(s.pattern - o.n + 1)
	case doVmsplice: // within one page, as each page is a buffer to the kernel and to Pipe it is all one
		page := os.Getpagesize()
		o.n = min(o.n, page)
		o.at = s.rng.IntN(s.pattern/page)*page + s.rng.IntN(page-o.n+1)
		o.at = min(o.at, s.pattern-1)
		o.flag = s.rng.IntN(2) == 0
	case doResize:
		o.n = s.resize(o.p)
	case doFill:
		o.n, o.at = 1, s.rng.IntN(s.pattern)
	}
	return o
}

// opening is of a pipe that is rather short: so it is full at times.
func (s *steps) opening(p int) op {
	return op{verb: doOpen, p: p, n: 1 << s.rng.IntN(6), flag: s.rng.IntN(3) == 0}
}

// worn is a pipe with a closed end, if there is one, or else p.
func (s *steps) worn(p int) int {
	for i := range s.pipes {
		if s.pipes[i].readClosed || s.pipes[i].writeClosed {
			return i
		}
	}
	return p
}

// size is a number of bytes, most often one next to a boundary.
func (s *steps) size() int {
	page := os.Getpagesize()
	switch s.rng.IntN(8) {
	case 0:
		return s.rng.IntN(4) // 0 included
	case 1, 2:
		return page - 1 + s.rng.IntN(3)
	case 3:
		return (2+s.rng.IntN(4))*page - 1 + s.rng.IntN(3)
	case 4, 5:
		return s.rng.IntN(page)
	case 6:
		return s.rng.IntN(6 * page)
	default:
		return s.rng.IntN(s.pattern + 1)
	}
}

// resize is a number of slots, of which some are none.
func (s *steps) resize(p int) int {
	n := []int{-1, 1, 1, 2, 3, 4, 5, 8, 9, 15, 16, 17, maxSlots}[s.rng.IntN(13)]
	if s.pipes[p].readClosed && n > 0 {
		n = max(n, s.pipes[p].slots)
	}
	return n
}

// took notes what a step has done to the pipe.
func (s *steps) took(o op, came outcome) {
	p := &s.pipes[o.p]
	switch {
	case o.verb == doOpen:
		p.open, p.readClosed, p.writeClosed, p.slots = true, false, false, came.n
	case o.verb == doCloseRead:
		p.readClosed = true
	case o.verb == doCloseWrite:
		p.writeClosed = true
	case o.verb == doResize && came.err == nil:
		p.slots = o.n
	}
}
