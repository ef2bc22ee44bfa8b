package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/spread"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// present returns the kinds whose programs there are; the others are named.
func present(c comparison) (kinds []kind) {
	for _, k := range c.Kinds {
		missing := slices.IndexFunc(k.stage, func(argv []string) bool {
			_, err := exec.LookPath(argv[0])
			return argv[0] != "PENSTOCK" && err != nil
		})
		if missing >= 0 {
			fmt.Fprintf(os.Stderr, "%s: no %s: %s is left out\n", c.Name, k.stage[missing][0], k.name)
			continue
		}
		kinds = append(kinds, k)
	}
	return kinds
}

// measure makes one run.
func (w *workplace) measure(s sort, k kind) (table.Sample, error) {
	return rounds.Watched(func() ([]float64, time.Duration, error) {
		r := attempt{workplace: w, kind: k, in: w.in, size: w.size}
		values, err := r.measure(s)
		return values, r.ours, err
	})
}

// verify runs every kind of stream once, and looks at every byte.
func (w *workplace) verify(all []comparison) error {
	for _, c := range all {
		if c.Run == starts || c.Run == small {
			continue
		}
		for _, k := range c.Kinds {
			st, err := os.Stat(w.some)
			if err != nil {
				return err
			}
			r := attempt{workplace: w, kind: k, in: w.some, size: st.Size(), compare: w.some}
			if _, err := r.measure(c.Run); err != nil {
				return fmt.Errorf("verifying %s of %s: %w", k.name, c.Name, err)
			}
		}
	}
	return nil
}

// attempt is one run of one kind.
type attempt struct {
	*workplace
	kind
	in      string
	size    int64
	compare string        // if not empty, what comes out is to be this file
	ours    time.Duration // CPU time of all the run's processes
}

// hung is how long a run may take.
const hung = 2 * time.Minute

func (r *attempt) measure(s sort) ([]float64, error) {
	switch s {
	case starts:
		return r.often(func() (*pipeline, error) { return startPipeline(nil, nil, r.stages(nil)...) }, 0)
	case small:
		return r.often(func() (*pipeline, error) {
			return startPipeline(nil, nil, slices.Concat([][]string{{"echo", "x"}}, r.stages(nil), [][]string{{"cat"}})...)
		}, 1)
	case filters:
		return r.filter()
	default:
		return r.network()
	}
}

// stages are the programs with everything put in that they need to know.
func (r *attempt) stages(more map[string]string) (all [][]string) {
	var pairs []string
	for _, vars := range []map[string]string{more, r.vars, {"IN": r.in}} {
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(vars))) { // FROMHOST before FROM
			pairs = append(pairs, name, vars[name])
		}
	}
	replace := strings.NewReplacer(pairs...)
	for _, argv := range r.stage {
		var out []string
		for _, arg := range argv {
			out = append(out, replace.Replace(arg))
		}
		all = append(all, out)
	}
	return all
}

// names tells whether an argument has the name of something in it.
func (k kind) names(name string) bool {
	return slices.ContainsFunc(k.stage, func(argv []string) bool {
		return slices.ContainsFunc(argv[1:], func(arg string) bool { return strings.Contains(arg, name) })
	})
}

// often runs something that is over at once many times, and returns the median time and the mean CPU time, which is
// counted in larger steps.
func (r *attempt) often(start func() (*pipeline, error), first int) ([]float64, error) {
	const times = 15
	var cpu time.Duration
	var each []float64
	for range times {
		began := time.Now()
		p, err := start()
		if err == nil {
			err = p.wait()
		}
		if err != nil {
			return nil, err
		}
		each = append(each, time.Since(began).Seconds()*1e3)
		cpu += p.used(first, first+len(r.stage))
		r.ours += p.used(0, len(p.commands))
	}
	return []float64{spread.Of(each).Median, cpu.Seconds() * 1e3 / times}, nil
}

// filter is cat IN | X | cat >/dev/null, or what comes out is compared.
func (r *attempt) filter() ([]float64, error) {
	stages := slices.Concat([][]string{{"cat", r.in}}, r.stages(nil))
	var out *os.File // /dev/null
	same := make(chan error, 1)
	if r.compare == "" {
		stages = append(stages, []string{"cat"})
		same <- nil
	} else {
		from, to, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer from.Close()
		defer to.Close()
		out = to
		go func() { same <- sameAs(r.compare, from) }()
	}
	return r.stream(1, out, stages, same)
}

// network is X between the two ends that it names.
func (r *attempt) network() ([]float64, error) {
	from, err := serveFile(r.in)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := takeAll(r.size, r.compare)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	stages := r.stages(addresses(from.Addr(), to.Addr()))
	dones := make([]<-chan error, 0, 2)
	for name, done := range map[string]chan error{"FROM": from.done, "TO": to.done} {
		if r.names(name) {
			dones = append(dones, done)
		}
	}
	return r.stream(0, nil, stages, dones...)
}

func addresses(from, to net.Addr) map[string]string {
	vars := make(map[string]string)
	for name, a := range map[string]net.Addr{"FROM": from, "TO": to} {
		vars[name] = a.String()
		vars[name+"HOST"], vars[name+"PORT"], _ = net.SplitHostPort(a.String())
	}
	return vars
}

// stream runs the pipeline, in which X is what comes from the first stage on, until all that is to happen has happened.
func (r *attempt) stream(first int, out *os.File, stages [][]string, dones ...<-chan error) ([]float64, error) {
	writes := r.names("OUT")
	if writes {
		if err := os.Remove(r.vars["OUT"]); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	began := time.Now()
	p, err := startPipeline(nil, out, stages...)
	if err != nil {
		return nil, err
	}
	watchdog := time.AfterFunc(hung, p.kill)
	defer watchdog.Stop()
	if err := p.wait(); err != nil {
		return nil, err
	}
	if out != nil {
		out.Close()
	}
	for _, done := range dones {
		select {
		case err := <-done:
			if err != nil {
				return nil, err
			}
		case <-time.After(hung):
			return nil, errors.New("a program has ended, and not told it to its connection")
		}
	}
	took := time.Since(began)
	r.ours = p.used(0, len(p.commands))
	if writes {
		if err := r.look(r.vars["OUT"]); err != nil {
			return nil, err
		}
	}
	gb := float64(r.size) / 1e9
	cpu := p.used(first, first+len(r.stage)).Seconds() / gb
	return []float64{gb / took.Seconds(), math.Max(cpu, 0)}, nil
}

// look sees to it that a file that was written is what it should be.
func (r *attempt) look(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if r.compare != "" {
		return sameAs(r.compare, f)
	}
	st, err := f.Stat()
	if err == nil && st.Size() != r.size {
		err = fmt.Errorf("%s has %d bytes of %d", path, st.Size(), r.size)
	}
	return err
}
