package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/internal/control"
)

// serveControl lets other processes change this copy, until what it returns is called. Where that cannot be, it goes on
// without: only who wants to change it has use for it, and is told then.
func (j *copyJob) serveControl(ctx context.Context) (stop func()) {
	server, err := control.Serve(ctx, j.change)
	if err != nil {
		return func() {}
	}
	return func() { _ = server.Close() }
}

// change does what another process asks for.
func (j *copyJob) change(r control.Request) (answer control.Response) {
	if r.Rate != nil {
		j.setSpeed(*r.Rate)
	}
	if r.Size != nil {
		j.mu.Lock()
		last := j.last
		j.mu.Unlock()
		if last == nil {
			return control.Response{Error: "it goes both ways, and has no size"}
		}
		last.setSize(*r.Size)
	}
	if r.Name != nil {
		j.display.SetName(*r.Name)
	}
	if r.Interval != nil {
		j.display.SetInterval(*r.Interval)
	}
	if r.Report {
		answer.Report = j.display.Report(j.states())
	}
	return answer
}

// setSize says how many bytes there will be.
func (s *stream) setSize(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = n
}

// changeRunning asks a copy that runs to do what the flags say. Without any it says how that stands.
func changeRunning(ctx context.Context, f *copyFlags, cmd *cobra.Command) error {
	var q control.Request
	changed := cmd.Flags().Changed
	if changed("rate-limit") {
		rate := int64(f.rate)
		q.Rate = &rate
	}
	if changed("size") {
		n := int64(f.show.size)
		q.Size = &n
	}
	if changed("name") {
		q.Name = &f.show.name
	}
	if changed("interval") {
		every := time.Duration(f.show.interval)
		q.Interval = &every
	}
	q.Report = q.Rate == nil && q.Size == nil && q.Name == nil && q.Interval == nil
	answer, err := control.Send(ctx, f.remote, q)
	if err != nil {
		return err
	}
	if q.Report {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", answer.Report)
	}
	return err
}
