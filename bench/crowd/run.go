package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// metrics are the figures of a run, in the order of the values that measure returns.
var metrics = []table.Metric{
	{Name: "CPU-s/s", Format: "%.3f", Ratio: "CPU ratio"},
	{Name: "µs/s per viewer", Format: "%.1f"},
	{Name: "CPU-s/GB", Format: "%.2f"},
	{Name: "RSS KiB/viewer", Format: "%.1f"},
	{Name: "anon KiB/viewer", Format: "%.1f"},
	{Name: "delivered", Format: "%.3f"},
	{Name: "joined", Format: "%.0f"},
	{Name: "lost", Format: "%.0f"},
	{Name: "gone", Format: "%.0f"},
	{Name: "p50 ms", Format: "%.2f"},
	{Name: "p99 ms", Format: "%.2f", Ratio: "p99 ratio"},
	{Name: "max ms", Format: "%.1f"},
}

// The times of a run besides spec.For and the ramp.
const (
	beginning = 10 * time.Second       // for the server to carry the stream, and for viewers besides their ramp
	settling  = time.Second            // before memory is read, and before the window
	hung      = 60 * time.Second       // longer than it should a run may take
	askAgain  = 20 * time.Millisecond  // whether the stream is there
	probing   = 500 * time.Millisecond // for the stream's first bytes
)

// cast is the processes of one run.
type cast struct {
	server int          // process number
	said   bytes.Buffer // by the program; whole when it has ended

	mu        sync.Mutex // guards what follows, for the watchdog
	late      bool
	program   *exec.Cmd
	processes []*role.Process
}

func (c *cast) start(name string, s spec, answer any) (*role.Process, error) {
	p, err := role.Start(name, role.Options{})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.processes = append(c.processes, p)
	if c.late {
		p.Kill()
	}
	c.mu.Unlock()
	if err := p.Ask(s, answer); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// kill ends all processes, and those that are yet to come, so that nobody is waited for any more. From any goroutine.
func (c *cast) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = true
	for _, p := range c.processes {
		p.Kill()
	}
	if c.program != nil {
		c.program.Process.Kill() // an error means that it has ended by itself
	}
}

// dismiss ends all processes and waits for them.
func (c *cast) dismiss() {
	c.kill()
	for _, p := range c.processes {
		p.Stop()
	}
	if c.program != nil {
		c.program.Wait() // an error is that it was killed
	}
}

// used is the CPU time of all processes but this one.
func (c *cast) used() (all time.Duration, err error) {
	pids := []int{c.server}
	for _, p := range c.processes {
		if p.PID() != c.server {
			pids = append(pids, p.PID())
		}
	}
	for _, pid := range pids {
		t, err := machine.CPUOf(pid)
		if err != nil {
			return 0, err
		}
		all += t
	}
	return all, nil
}

// measure makes one run. paths has the programs.
func measure(s spec, paths map[string]string, dir string) (got table.Sample, err error) {
	c := new(cast)
	defer func() {
		c.dismiss()
		if err != nil && c.said.Len() > 0 {
			err = fmt.Errorf("%w; the server said:\n%s", err, &c.said)
		}
	}()
	s.RampWithin = 2*time.Duration(s.Viewers/s.Ramp)*time.Second + beginning
	watchdog := time.AfterFunc(s.RampWithin+s.For+hung, c.kill)
	defer watchdog.Stop()
	if err := c.startServer(&s, paths, dir); err != nil {
		return got, err
	}
	if _, err := c.start("publisher", s, &spec{}); err != nil {
		return got, err
	}
	if err := awaitStream(s); err != nil {
		return got, err
	}
	time.Sleep(settling)
	before, err := machine.MemoryOf(c.server)
	if err != nil {
		return got, err
	}
	viewers, err := c.start("viewers", s, &watched{})
	if err != nil {
		return got, err
	}
	if s.Bad {
		if _, err := c.start("bad", s, &spec{}); err != nil {
			return got, err
		}
	}
	time.Sleep(settling)
	return c.window(s, before, viewers)
}

func (c *cast) startServer(s *spec, paths map[string]string, dir string) error {
	if p, ok := programs[s.Kind]; ok {
		command, err := p.start(paths[s.Kind], dir, s, &c.said)
		if err != nil {
			return err
		}
		c.server = command.Process.Pid
		c.mu.Lock()
		c.program = command
		c.mu.Unlock()
		return awaitListener(s.Watch)
	}
	p, err := c.start("server", *s, s)
	if err != nil {
		return err
	}
	c.server = p.PID()
	return nil
}

// window measures the steady state.
func (c *cast) window(s spec, before machine.Memory, viewers *role.Process) (got table.Sample, err error) {
	var seen watched
	if err := viewers.Ask("begin", &seen); err != nil {
		return got, fmt.Errorf("viewers: %w", err)
	}
	others, err := machine.WatchOthers()
	if err != nil {
		return got, err
	}
	begin := machine.Monotonic()
	spent, err := machine.CPUOf(c.server)
	ours, oerr := c.used()
	if err := errors.Join(err, oerr); err != nil {
		return got, err
	}
	time.Sleep(s.For)
	now, err := machine.CPUOf(c.server)
	spent = now - spent
	took := machine.Monotonic() - begin
	after, merr := machine.MemoryOf(c.server)
	all, oerr := c.used()
	if err := errors.Join(err, merr, oerr); err != nil {
		return got, err
	}
	if got.Others, err = others.Share(all - ours); err != nil {
		return got, err
	}
	if err := viewers.Ask("end", &seen); err != nil {
		return got, fmt.Errorf("viewers: %w", err)
	}
	if seen.Arrived == 0 || seen.Bytes == 0 {
		return got, errors.New("nothing was delivered")
	}
	n := float64(seen.Joined)
	cpu := spent.Seconds() / took.Seconds()
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	got.Values = []float64{
		cpu,
		cpu * 1e6 / n,
		spent.Seconds() / (float64(seen.Bytes) / 1e9),
		float64(after.Resident-before.Resident) / 1024 / n,
		float64(after.Anonymous-before.Anonymous) / 1024 / n,
		float64(seen.Bytes) / (n * float64(s.Rate) * took.Seconds()),
		float64(seen.Joined),
		float64(seen.Lost),
		float64(seen.Gone),
		ms(seen.Delays.Quantile(0.5)),
		ms(seen.Delays.Quantile(0.99)),
		ms(seen.Delays.Max),
	}
	return got, nil
}

// awaitListener waits until somebody listens there.
func awaitListener(addr string) error {
	return insist(func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// awaitStream waits until a viewer would get some of the stream.
func awaitStream(s spec) error {
	return insist(func() error {
		conn, err := net.Dial("tcp", s.Watch)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(s.every() + probing)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, s.WatchRequest); err != nil {
			return err
		}
		if err := awaitAnswer(conn); err != nil {
			return err
		}
		var b [len(magic)]byte
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			return err
		}
		if bytes.Equal(b[:], make([]byte, len(b))) {
			return errors.New("the stream is no stream of messages")
		}
		return nil
	})
}

// insist tries until there is no error, for some time.
func insist(try func() error) error {
	deadline := time.Now().Add(beginning)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(askAgain)
	}
}
