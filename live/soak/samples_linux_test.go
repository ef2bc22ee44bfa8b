package soak

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// sample is what this process has at one moment.
type sample struct {
	at          time.Duration // since the start
	viewers     int
	descriptors int
	goroutines  int
	pages       int // penstock's
	pipes       int // KiB of kernel pipes that the pool holds, idle ones included
	heap        int // KiB, after a collection
	rss         int // KiB
}

// gauges are the figures of a sample that are to stay as they are, and how much more than before counts as noise: a share,
// and so much besides.
var gauges = []struct {
	name  string
	of    func(sample) int
	share float64
	more  int
}{
	{"descriptors", func(s sample) int { return s.descriptors }, 0.10, 20},
	{"goroutines", func(s sample) int { return s.goroutines }, 0.10, 20},
	{"pages", func(s sample) int { return s.pages }, 0.25, 50},
	{"pipes KiB", func(s sample) int { return s.pipes }, 0.50, 16 << 10},
	{"heap KiB", func(s sample) int { return s.heap }, 0.10, 1 << 10},
	{"RSS KiB", func(s sample) int { return s.rss }, 0.10, 8 << 10},
}

// quarters returns the medians of a gauge in each quarter of the samples, of which there are four at least.
func quarters(samples []sample, of func(sample) int) (medians [4]int) {
	for q := range medians {
		part := samples[q*len(samples)/4 : (q+1)*len(samples)/4]
		values := make([]int, len(part))
		for i, s := range part {
			values[i] = of(s)
		}
		slices.Sort(values)
		medians[q] = values[len(values)/2]
	}
	return medians
}

// grown tells what the last quarter has more of than the second; the first is the way there.
func grown(samples []sample) (complaints []string) {
	for _, g := range gauges {
		m := quarters(samples, g.of)
		if most := m[1] + int(g.share*float64(m[1])) + g.more; m[3] > most {
			complaints = append(complaints, fmt.Sprintf("%s: %d in the second quarter, %d in the last, where %d would be noise",
				g.name, m[1], m[3], most))
		}
	}
	return complaints
}

const heading = "  time  viewers  descriptors  goroutines  pages  pipes KiB  heap KiB  RSS KiB\n"

func (s sample) line(label string) string {
	return fmt.Sprintf("%6s  %7d  %11d  %10d  %5d  %9d  %8d  %7d\n",
		cmp.Or(label, s.at.Round(time.Second).String()), s.viewers, s.descriptors, s.goroutines, s.pages, s.pipes, s.heap, s.rss)
}

// table returns the medians of each quarter, between the start and the end.
func table(start, end sample, samples []sample) string {
	var b strings.Builder
	b.WriteString(heading)
	b.WriteString(start.line("start"))
	for q := range 4 {
		at := func(of func(sample) int) int { return quarters(samples, of)[q] }
		s := sample{viewers: at(func(s sample) int { return s.viewers })}
		for i, field := range []*int{&s.descriptors, &s.goroutines, &s.pages, &s.pipes, &s.heap, &s.rss} {
			*field = at(gauges[i].of)
		}
		b.WriteString(s.line(fmt.Sprintf("Q%d", q+1)))
	}
	b.WriteString(end.line("end"))
	return b.String()
}

// measure collects garbage, and fills in what can be told without asking a server.
func measure(t *testing.T) (s sample) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.heap = int(m.HeapAlloc >> 10)
	s.descriptors = len(descriptors(t))
	s.goroutines = runtime.NumGoroutine()
	s.pages = int(penstock.PagesInUse())
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	if words := bytes.Fields(rest); len(words) == 0 {
		t.Fatalf("no VmRSS in %s", status)
	} else if s.rss, err = strconv.Atoi(string(words[0])); err != nil {
		t.Fatal(err)
	}
	return s
}

// descriptors returns what this process has open, and that which reads it.
func descriptors(t *testing.T) (open []string) {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dir {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", d.Name()))
		if err != nil {
			to = "closed since, or the directory's own"
		}
		open = append(open, d.Name()+" "+to)
	}
	return open
}

// TestALeakIsToldFromNoise has samples that go up and down, and of each gauge ones that also grow to five times as much.
func TestALeakIsToldFromNoise(t *testing.T) {
	const n = 180
	steady := func() []sample {
		all := make([]sample, n)
		for i := range all {
			up := i * 7919 % 30
			all[i] = sample{
				viewers: 240, descriptors: 300 + up, goroutines: 400 + up, pages: 1000 + 10*up,
				pipes: 64 << 10, heap: 9000 + 10*up, rss: 60_000 + 30*up,
			}
		}
		return all
	}
	if c := grown(steady()); len(c) > 0 {
		t.Errorf("of noise: %v", c)
	}
	leaks := []func(*sample) *int{
		func(s *sample) *int { return &s.descriptors }, func(s *sample) *int { return &s.goroutines },
		func(s *sample) *int { return &s.pages }, func(s *sample) *int { return &s.pipes },
		func(s *sample) *int { return &s.heap }, func(s *sample) *int { return &s.rss },
	}
	for i, leak := range leaks {
		all := steady()
		for j := range all {
			*leak(&all[j]) += *leak(&all[0]) * j * 4 / n
		}
		if c := grown(all); len(c) != 1 || !strings.HasPrefix(c[0], gauges[i].name+":") {
			t.Errorf("of a leak of %s: %v", gauges[i].name, c)
		}
	}
}
