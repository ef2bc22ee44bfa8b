package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/meter"
)

// talk is a copy in both directions between two ends, each of which is told when the other has nothing more to say, and
// may go on by itself. It is over when both directions are.
func (j *copyJob) talk(ctx context.Context, given ends) int {
	c := &conversation{job: j, a: given.source, b: given.destination, harmed: make(map[*address.End]bool)}
	if c.status = c.open(ctx); c.status != 0 {
		c.giveUp()
		return c.status
	}
	c.run(ctx)
	c.finish(ctx)
	return c.status
}

// open opens the ends that are not open yet, and returns the status of what could not be.
func (c *conversation) open(ctx context.Context) int {
	j := c.job
	config := j.config()
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
	harmed map[*address.End]bool // those that have failed, or have not got all that was for them
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
		c.giveUp()
		c.fail(exitFailed)
	case errors.Is(cause, errTimeout):
		j.say("%v", cause)
		c.giveUp()
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
		c.harm(to)
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
	ctx, cancel := context.WithTimeoutCause(context.Background(), grace, errGrace)
	defer cancel()
	_ = op.InFlight.SetReadDeadline(time.Now().Add(time.Second))
	_, err := penstock.Copy(ctx, to.Writer, op.InFlight)
	for _, op := range penstock.Failures(err) {
		if op.Side == penstock.SideSink { // else no more has come from a Read that was left behind
			c.harm(to)
			c.job.say("%s: what was in flight could not be delivered: %v", to.Address.Redacted(), reason(op))
		}
	}
}

// failed says which end has failed, and of what. That a connection which has failed is of no use in the other direction
// either goes without saying.
func (c *conversation) failed(end *address.End, err error) {
	side, status := "source", exitSource
	if end == c.b {
		side, status = "destination", exitDestinations
	}
	c.fail(status)
	if !c.harm(end) || !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		c.job.say("%s %s: %s", side, end.Address.Redacted(), withoutAddress(err))
	}
}

// harm notes that an end is not to take what it has got for all, and tells whether that was known.
func (c *conversation) harm(end *address.End) (was bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was = c.harmed[end]
	c.harmed[end] = true
	return was
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

// finish ends both sides: one that has had all that was for it keeps that, also where the other has failed.
func (c *conversation) finish(ctx context.Context) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(context.Background(), grace, errGrace)
		defer cancel()
	}
	harmed := maps.Clone(c.harmed) // one may come to harm now
	var both sync.WaitGroup
	for _, end := range []*address.End{c.a, c.b} {
		both.Go(func() {
			var err error
			if harmed[end] {
				err = end.Close()
			} else {
				err = end.Finish(ctx)
			}
			if err != nil {
				c.failed(end, err)
			}
		})
	}
	both.Wait()
}

// giveUp ends both sides in the middle.
func (c *conversation) giveUp() {
	for _, end := range []*address.End{c.a, c.b} {
		if end != nil {
			_ = end.Close() // it is of no use any more
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
