package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
)

// spec is what a role needs to know about one run.
type spec struct {
	Case string // the sort of run: a key of sorts
	Kind string // what copies: a key of the sort's kinds

	For        time.Duration
	Bytes      int64 // if not 0, how many bytes there are, however long they take
	Congestion string
	Pin        bool
	Files      map[string]string // where the files are, by the filesystem's name

	From, To string // what is copied from and to, see ends.go
	Sinks    int
	Write    int           // bytes of one write of the source, of one message, of one file
	Every    time.Duration // from one write to the next; 0 is as fast as can be

	Conns int
	UID   int

	Up, Down []string // where the source and the sinks connect to, once known
}

// sample is what one run measured, a value for each metric of its comparison.
type sample struct {
	values []float64
	others float64 // CPUs that other processes and guests used meanwhile
}

// measurer makes the runs of all comparisons.
type measurer struct {
	common   spec
	times    float64
	quiet    float64
	attempts int
	deadline time.Time
}

// compare measures every kind once in each round. The order turns by one each round, so that nobody always comes
// after the same neighbour. Disturbed runs are repeated in this one's share of the time that is left, which is the
// same for it and all that are to come, so many with this one.
func (m *measurer) compare(c comparison, toCome int) (table, error) {
	t := table{comparison: c, samples: make([][]sample, len(c.kinds))}
	rounds := max(int(float64(c.rounds)*m.times+0.5), 1)
	enough := time.Now().Add(time.Until(m.deadline) / time.Duration(toCome))
	for round := range rounds {
		if round > 0 && time.Now().After(m.deadline) {
			break
		}
		for i := range c.kinds {
			k := (i + round) % len(c.kinds)
			s := c.spec
			s.Kind, s.Case = c.kinds[k], c.sort
			s.Congestion, s.Pin, s.Files = m.common.Congestion, m.common.Pin, m.common.Files
			if s.For == 0 {
				s.For = m.common.For
			}
			got, err := m.quietly(s, enough)
			if err != nil {
				return t, fmt.Errorf("%s, round %d: %w", s.Kind, round+1, err)
			}
			t.samples[k] = append(t.samples[k], got)
			fmt.Fprintf(os.Stderr, "%-24s round %d  %-20s %s  others %.2f\n",
				c.name, round+1, s.Kind, c.tell(got), got.others)
		}
	}
	return t, nil
}

// quietly repeats a run while others use more than quiet CPUs; the last attempt stands.
func (m *measurer) quietly(s spec, enough time.Time) (got sample, err error) {
	for range m.attempts {
		got, err = measure(s)
		if err != nil || got.others <= m.quiet || time.Now().After(enough) {
			break
		}
	}
	return got, err
}

// hung is how much longer than it should a run may take.
const hung = 60 * time.Second

// measure makes one run.
func measure(s spec) (got sample, err error) {
	others, err := machine.WatchOthers()
	if err != nil {
		return got, err
	}
	c := &cast{spec: s}
	watchdog := time.AfterFunc(s.For+hung, c.kill)
	got.values, err = sorts[s.Case].direct(c)
	watchdog.Stop()
	ours := c.dismiss()
	if err != nil {
		return got, err
	}
	got.others, err = others.Share(ours)
	return got, err
}

// cast is the processes of one run.
type cast struct {
	spec

	mu        sync.Mutex // guards processes, for the watchdog
	processes []*role.Process
	late      bool
}

// kill ends all processes, so that nobody is waited for any more.
func (c *cast) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = true
	for _, p := range c.processes {
		p.Kill()
	}
}

// dismiss ends all processes and returns the CPU time that they used.
func (c *cast) dismiss() (used time.Duration) {
	for _, p := range c.processes {
		used += p.Stop()
	}
	return used
}

// start starts a process in a role of the run, with descriptors that it inherits and that are closed here.
func (c *cast) start(name string, files ...*os.File) (*role.Process, error) {
	o := role.Options{Files: files}
	if c.Pin {
		o.CPUs = role.Apart(name == "copier")
	}
	p, err := role.Start(c.Case+"/"+name, o)
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, p)
	if c.late {
		p.Kill()
	}
	return p, nil
}

// brief starts a process and tells it the spec, which comes back with what the process has added: its addresses.
func (c *cast) brief(s *spec, name string, files ...*os.File) (*role.Process, error) {
	p, err := c.start(name, files...)
	if err != nil {
		return nil, err
	}
	return p, p.Ask(*s, s)
}

// playRole runs the role that this process was started for.
func playRole(name string) error {
	sort, part, _ := strings.Cut(name, "/")
	play := sorts[sort].roles[part]
	if play == nil {
		return fmt.Errorf("unknown role %q", name)
	}
	return play()
}
