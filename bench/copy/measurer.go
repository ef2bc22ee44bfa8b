package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/table"
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

// measure makes a run of a kind as a comparison's spec says it, and with what is common to all where that says nothing.
func (common spec) measure(s spec, k kind) (table.Sample, error) {
	s.Kind = k.String()
	s.Congestion, s.Pin, s.Files = common.Congestion, common.Pin, common.Files
	if s.For == 0 {
		s.For = common.For
	}
	return measure(s)
}

// hung is how much longer than it should a run may take.
const hung = 60 * time.Second

// measure makes one run.
func measure(s spec) (table.Sample, error) {
	return rounds.Watched(func() ([]float64, time.Duration, error) {
		c := &cast{spec: s}
		watchdog := time.AfterFunc(s.For+hung, c.kill)
		values, err := sorts[s.Case].direct(c)
		watchdog.Stop()
		return values, c.dismiss(), err
	})
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
