package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/meter"
)

// talk is a copy in both directions between two ends, each of which is told when the other has nothing more to say, and
// may go on by itself. It is over when both directions are.
func (j *copyJob) talk(ctx context.Context, given ends) int {
	c := &conversation{job: j, a: given.source, b: given.destination}
	if status := c.open(ctx); status != 0 {
		c.status = status
	} else {
		c.run(ctx)
	}
	c.close()
	return c.status
}

// open opens the ends that are not open yet, and returns the status of what could not be.
func (c *conversation) open(ctx context.Context) int {
	j := c.job
	config := address.Config{Say: func(text string) { j.say("%s", text) }}
	var err error
	if c.a == nil {
		if c.a, err = j.source.Open(ctx, address.Both, config); err != nil {
			return j.cannotOpen(ctx, -1, err)
		}
	}
	if c.b == nil {
		if c.b, err = j.destinations[0].Open(ctx, address.Both, config); err != nil {
			return j.cannotOpen(ctx, 0, err)
		}
	}
	return 0
}

// conversation is what two ends have to say to each other.
type conversation struct {
	job         *copyJob
	a, b        *address.End
	there, back *penstock.Transfer

	mu     sync.Mutex
	status int
}

// run carries both directions, until neither has anything more to say.
func (c *conversation) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	j := c.job
	opts := j.options()
	if n := j.most; n >= 0 {
		opts = append(opts, penstock.WithLimit(n))
	}
	c.there = penstock.NewTransfer(c.b.Writer, c.a.Reader, opts...)
	c.back = penstock.NewTransfer(c.a.Writer, c.b.Reader, opts...)
	defer j.running(c)()
	if j.idle > 0 {
		defer c.watch(j.idle, cancel)()
	}
	var both sync.WaitGroup
	both.Go(func() { c.direct(ctx, cancel, c.there, c.a, c.b) })
	both.Go(func() {
		c.direct(ctx, cancel, c.back, c.b, c.a)
		if f, ok := c.a.Reader.(*os.File); ok && meter.TerminalOf(f) != nil {
			cancel(errAnswered) // whoever sits there would have to say that nothing more comes
		}
	})
	both.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, penstock.ErrIdle):
		j.say("%s and %s: %v", j.source.Redacted(), j.destinations[0].Redacted(), cause)
		c.fail(exitFailed)
	case errors.Is(cause, errTimeout):
		j.say("%v", cause)
		c.fail(exitFailed)
	}
}

var errAnswered = errors.New("the other side has said all")

// direct carries one direction, and tells its end to the other side. A source that fails ends both: what is still said
// to it is said in vain.
func (c *conversation) direct(ctx context.Context, cancel context.CancelCauseFunc, tr *penstock.Transfer, from, to *address.End) {
	_, err := tr.Run(ctx)
	for _, op := range penstock.Failures(err) {
		if ctx.Err() != nil && errors.Is(op, context.Cause(ctx)) {
			c.deliver(to, op)
			continue
		}
		end, what := from, "reading"
		if op.Side == penstock.SideSink {
			end, what = to, "writing"
		}
		c.failed(end, fmt.Errorf("%w, %s byte %d", reason(op), what, op.Offset))
		if op.Side == penstock.SideSource {
			cancel(errSourceFailed)
		}
	}
	if err == nil {
		if cerr := to.CloseWrite(); cerr != nil {
			c.failed(to, cerr)
		}
	}
}

var errSourceFailed = errors.New("the other direction has failed")

// deliver brings what was in flight at an interruption to where it was to go.
func (c *conversation) deliver(to *address.End, op *penstock.OpError) {
	if op.InFlight == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = op.InFlight.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := penstock.Copy(ctx, to.Writer, op.InFlight); err != nil {
		c.job.say("%s: what was in flight could not be delivered: %v", to.Address.Redacted(), err)
	}
}

// failed says which end has failed, and of what.
func (c *conversation) failed(end *address.End, err error) {
	side, status := "source", exitSource
	if end == c.b {
		side, status = "destination", exitDestinations
	}
	c.fail(status)
	c.job.say("%s %s: %s", side, end.Address.Redacted(), withoutAddress(err))
}

func (c *conversation) fail(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == 0 {
		c.status = status
	}
}

// watch ends the conversation when neither direction has moved for so long.
func (c *conversation) watch(idle time.Duration, cancel context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(max(idle/8, time.Millisecond))
		defer tick.Stop()
		last, quiet := int64(-1), 0
		for {
			select {
			case <-tick.C:
			case <-done:
				return
			}
			there, back := c.there.Report(), c.back.Report()
			moved := there.Consumed + there.Delivered + back.Consumed + back.Delivered
			if quiet++; moved != last {
				last, quiet = moved, 0
			}
			if quiet >= 8 {
				cancel(penstock.ErrIdle)
				return
			}
		}
	}()
	return func() { close(done) }
}

// close ends both sides; after a conversation that went well they have been told already.
func (c *conversation) close() {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for _, end := range []*address.End{c.a, c.b} {
		if end == nil {
			continue
		}
		if c.status != 0 {
			_ = end.Close()
		} else if err := end.Finish(ctx); err != nil {
			c.failed(end, err)
		}
	}
}

// setSpeed changes the rate limit of either direction.
func (c *conversation) setSpeed(bytesPerSecond int64) {
	c.there.SetRate(bytesPerSecond)
	c.back.SetRate(bytesPerSecond)
}

// states tells how both directions stand.
func (c *conversation) states() (all []meter.State) {
	for _, d := range []struct {
		name string
		tr   *penstock.Transfer
	}{{"there", c.there}, {"back", c.back}} {
		rep := d.tr.Report()
		st := meter.State{Name: d.name, Total: -1, Elapsed: rep.Elapsed}
		(&output{}).look(&st, &rep)
		all = append(all, st)
	}
	return all
}
