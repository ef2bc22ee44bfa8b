package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/meter"
)

// showFlags say how a copy shows how it gets on: pv's, where they fit.
type showFlags struct {
	force, quiet, numeric, json bool
	bar, timer, eta, fineta     bool
	rate, average, bytes        bool
	size                        bound
	interval                    seconds
	name, format                string
	wait                        bool
	width                       int
}

func (s *showFlags) define(flags *pflag.FlagSet) {
	s.interval = seconds(time.Second)
	flags.BoolVarP(&s.force, "force", "f", false, "show progress although stderr is no terminal")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "show no progress; errors are told")
	flags.BoolVarP(&s.numeric, "numeric", "n", false,
		"show progress as numbers, one a line: percent, or bytes where the size is not known")
	flags.BoolVar(&s.json, "json", false, "show progress as JSON, an object a line, the last one with \"ended\": true")
	flags.VarP(&s.size, "size", "s", "there will be `SIZE`: for the bar, and -S")
	flags.VarP(&s.interval, "interval", "i", "`SECONDS` between two updates")
	flags.StringVarP(&s.name, "name", "N", "", "put `NAME` in front")
	flags.BoolVarP(&s.bar, "progress", "p", false, "show the bar; without any of -pteIrab all but -I are shown")
	flags.BoolVarP(&s.timer, "timer", "t", false, "show the time elapsed")
	flags.BoolVarP(&s.eta, "eta", "e", false, "show the time left")
	flags.BoolVarP(&s.fineta, "fineta", "I", false, "show when it will be over")
	flags.BoolVarP(&s.rate, "rate", "r", false, "show the rate")
	flags.BoolVarP(&s.average, "average-rate", "a", false, "show the average rate")
	flags.BoolVarP(&s.bytes, "bytes", "b", false, "show the bytes")
	flags.StringVarP(&s.format, "format", "F", "",
		"show it as `FORMAT` says, with pv's %b %t %r %a %p %e %I %N, and %{stalled} %{path} %{note}")
	flags.BoolVarP(&s.wait, "wait", "W", false, "show nothing until the first byte has moved")
	flags.IntVarP(&s.width, "width", "w", 0, "`COLUMNS`; 0 is as many as the terminal has")
}

// display makes what shows it on stderr.
func (s *showFlags) display(stderr *os.File) (*meter.Display, error) {
	c := meter.Config{
		Format: s.format, Width: s.width, Name: s.name, Interval: time.Duration(s.interval), Wait: s.wait,
		Screen: meter.TerminalOf(stderr),
	}
	for part, is := range map[meter.Parts]bool{
		meter.Bar: s.bar, meter.Timer: s.timer, meter.ETA: s.eta, meter.FinETA: s.fineta,
		meter.Rate: s.rate, meter.Average: s.average, meter.Bytes: s.bytes,
	} {
		if is {
			c.Parts |= part
		}
	}
	switch {
	case s.quiet && s.json, s.quiet && s.numeric, s.numeric && s.json:
		return nil, errors.New("of --quiet, --numeric and --json at most one")
	case s.width < 0:
		return nil, fmt.Errorf("--width %d: want no less than 0", s.width)
	case s.quiet, !s.force && !s.numeric && !s.json && c.Screen == nil:
		c.Mode = meter.Quiet
	case s.numeric:
		c.Mode = meter.Numeric
	case s.json:
		c.Mode = meter.JSON
	}
	d, err := meter.New(stderr, c)
	if err != nil {
		return nil, fmt.Errorf("--format: %w", err)
	}
	return d, nil
}

// seconds is a time as pv takes it, 0.5, or as Go does, 500ms.
type seconds time.Duration

func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, ferr := strconv.ParseFloat(text, 64); ferr == nil {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d < 10*time.Millisecond || d > 24*time.Hour {
		return errors.New("want seconds, from 0.01 on")
	}
	*s = seconds(d)
	return nil
}

func (s *seconds) String() string {
	return strconv.FormatFloat(time.Duration(*s).Seconds(), 'g', -1, 64)
}
func (s *seconds) Type() string { return "SECONDS" }

// showing shows how a copy gets on until what it returns is called.
func (j *copyJob) showing(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	unasked := j.whenAsked(func() { j.display.Print(j.states()) }, j.display.Anew)
	go func() {
		defer close(done)
		j.display.Run(ctx, j.states)
	}()
	return func() {
		unasked()
		cancel()
		<-done
	}
}

// say writes one line for people.
func (j *copyJob) say(format string, args ...any) {
	j.display.Say("penstock: " + fmt.Sprintf(format, args...))
}

// states tells how every destination stands.
func (j *copyJob) states() (all []meter.State) {
	j.mu.Lock()
	runs := slices.Clone(j.runs)
	j.mu.Unlock()
	for _, r := range runs {
		all = append(all, r.states()...)
	}
	return all
}

// states tells how the destinations of a stream stand.
func (s *stream) states() (all []meter.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rep penstock.Report
	if s.tr != nil {
		rep = s.tr.Report()
	}
	for _, o := range s.outs {
		st := meter.State{
			Name: o.addr.Redacted(), Total: s.total, Before: s.before, Elapsed: s.took + rep.Elapsed,
			Bytes: o.had, Path: string(o.path), Note: s.note(o), Ended: s.over || o.err != nil,
		}
		if o.place >= 0 && s.tr != nil {
			o.look(&st, &rep)
		}
		all = append(all, st)
	}
	return all
}

// reportIn is what a transfer tells of an output; of the only one it tells by itself.
func (o *output) reportIn(rep *penstock.Report) penstock.OutputReport {
	if rep.Outputs != nil {
		return rep.Outputs[o.place]
	}
	out := penstock.OutputReport{Delivered: rep.Delivered, Path: rep.Path, Stalled: rep.SinkStalled}
	if rep.Waiting == penstock.SideSink {
		out.Since = rep.Since
	}
	return out
}

// look adds to a state what a transfer tells of an output.
func (o *output) look(st *meter.State, rep *penstock.Report) {
	out := o.reportIn(rep)
	st.Bytes += out.Delivered
	st.Path = string(out.Path)
	if out.Skipped+o.skipped > 0 && st.Note == "" {
		st.Note = "skipped " + bytesOf(int(out.Skipped+o.skipped))
	}
	switch {
	case st.Ended:
	case out.Since > 0:
		st.Stalled, st.StalledFor = "destination", out.Since
	case rep.Since == 0:
	case rep.Waiting == penstock.SideSource:
		st.Stalled, st.StalledFor = "source", rep.Since
	case rep.Waiting == penstock.SideSink:
		st.Stalled, st.StalledFor = "another destination", rep.Since
	default:
		st.Stalled, st.StalledFor = meter.RateLimit, rep.Since
	}
}
