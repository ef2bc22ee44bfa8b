package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
)

// Direction is which way bytes go through a connection.
type Direction uint8

// The directions: from the client to the target, and back.
const (
	Forward Direction = 1 << iota
	Backward
	BothWays = Forward | Backward
)

// String returns forward, backward or both.
func (d Direction) String() string {
	switch d {
	case Forward:
		return "forward"
	case Backward:
		return "backward"
	default:
		return "both"
	}
}

// Mirror gets a copy of what goes through connections. It never holds them up.
type Mirror struct {
	Name string // for logs and metrics

	// Open opens what gets the copy of one connection, in each direction that is wanted by itself: it is closed when the
	// connection is over and it has had everything. It is called beside the connection, which does not wait for it.
	// A Write that does not return when the connection is over, and Linger with it, is ended by Close.
	// What has a descriptor (*os.File, *net.TCPConn, *net.UnixConn) gets the bytes by splice, and so does what a [Bared]
	// has. Its error, and that of closing, is logged. nil is nobody: what there would have been is counted, and not copied.
	Open func(ctx context.Context, c Info, d Direction) (io.WriteCloser, error)

	// Ended is called when a connection that was to be mirrored is over, before what was opened for it is closed; nil is
	// nobody. It is called for those, too, for which nothing was opened.
	Ended func(c Info, e Ending)

	Direction  Direction // 0 is BothWays
	Ratio      float64   // of the connections that are mirrored; 0 is all
	MaxBytes   int64     // of each connection in each direction: the first ones; 0 is all
	Queue      int64     // bytes that it may be behind, in each direction of each connection; 0 is DefaultMirrorQueue
	Disconnect bool      // give up on a connection's copy when that is full, rather than leave out what has no room

	// Linger is how long it may take, once the connection is over, to have what is in its queue; 0 is DefaultMirrorLinger.
	// The connection itself is closed by then, and takes no place among those that there may be.
	Linger time.Duration
}

// Defaults of a Mirror.
const (
	DefaultMirrorQueue  = 1 << 20 // bytes
	DefaultMirrorLinger = 5 * time.Second
)

// Ending is how a mirrored connection has ended, and what the mirror has of it.
type Ending struct {
	Termination       Termination
	Elapsed           time.Duration // since its beginning
	Forward, Backward Share         // zero for a direction that the mirror was not to have
}

// Share is what a mirror has of one direction.
type Share struct {
	Had  int64 // bytes
	Lost int64 // bytes that it should have had besides
}

func (m *Mirror) check() error {
	switch {
	case m.Direction > BothWays:
		return fmt.Errorf("direction %d: want Forward, Backward or both", m.Direction)
	case m.Ratio < 0 || m.Ratio > 1:
		return fmt.Errorf("ratio %v: want 0 to 1", m.Ratio)
	case m.MaxBytes < 0 || m.Queue < 0 || m.Linger < 0:
		return errors.New("a size or a time is less than nothing")
	}
	return nil
}

// mirroring is what one mirror gets of one direction of a connection.
type mirroring struct {
	mirror    *Mirror
	direction Direction
	output    int            // of the copy
	late      *penstock.Late // nil if nobody gets it
	close     func() error   // once

	mu        sync.Mutex // guards what follows
	opened    io.Closer  // what Open has returned, if it is a Bared
	over      bool       // nobody will close what is opened from now on
	abandoned bool       // nor wait for that
}

// open calls Open, and does not wait for it when nobody waits any more: the directory of a file may be on a server that
// has gone. What is opened all the same is closed then.
func (m *Mirror) open(ctx context.Context, c Info, d Direction) (io.WriteCloser, error) {
	type result struct {
		w   io.WriteCloser
		err error
	}
	opened := make(chan result, 1)
	go func() {
		w, err := m.Open(ctx, c, d)
		opened <- result{w, err}
	}()
	select {
	case r := <-opened:
		return r.w, r.err
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.err == nil && r.w != nil {
				abandon(r.w)
				_ = r.w.Close() // it has had nothing
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// startMirrors returns the options of the copy that feed the mirrors.
func (c *conn) startMirrors() (opts []penstock.Option) {
	var back []penstock.Option
	forward, backward := 0, 0
	for i := range c.c.Mirrors {
		m := &c.c.Mirrors[i]
		if m.Ratio > 0 && m.Ratio < 1 && rand.Float64() >= m.Ratio {
			continue
		}
		wanted := m.Direction
		if wanted == 0 {
			wanted = BothWays
		}
		if m.Open == nil {
			c.countMirrored(m, wanted)
			continue
		}
		if wanted&Forward != 0 {
			forward++
			opts = append(opts, c.mirror(m, Forward, forward)...)
		}
		if wanted&Backward != 0 {
			backward++
			back = append(back, c.mirror(m, Backward, backward)...)
		}
	}
	if forward+backward == 0 {
		return nil
	}
	goOn := penstock.WithOutputErrors(func(op *penstock.OpError) bool {
		return errors.As(op, new(*penstock.OutputError)) // a mirror's; the connection's own end it
	})
	return append(opts, goOn, penstock.WithBackward(append(back, goOn)...))
}

// countMirrored is for a mirror that nobody gets.
func (c *conn) countMirrored(m *Mirror, wanted Direction) {
	for _, d := range []Direction{Forward, Backward} {
		if wanted&d != 0 {
			c.mirrors = append(c.mirrors, &mirroring{mirror: m, direction: d, close: func() error { return nil }})
		}
	}
}

// mirror returns the options for a mirror of one direction.
func (c *conn) mirror(m *Mirror, d Direction, output int) []penstock.Option {
	info := c.info()
	one := &mirroring{mirror: m, direction: d, output: output}
	one.late = penstock.NewLate(func(ctx context.Context) (io.WriteCloser, error) {
		w, err := m.open(ctx, info, d)
		if b, is := w.(Bared); is && err == nil {
			return one.bare(b)
		}
		return w, err
	})
	one.close = sync.OnceValue(one.closeAll)
	c.mirrors = append(c.mirrors, one)
	q := penstock.Queue{
		Size: cmp.Or(m.Queue, DefaultMirrorQueue), Most: m.MaxBytes, Full: penstock.QueueSkips,
		Linger: cmp.Or(m.Linger, DefaultMirrorLinger),
	}
	if m.Disconnect {
		q.Full = penstock.QueueFails
	}
	return []penstock.Option{penstock.WithTee(one.late), penstock.WithQueue(output, q)}
}

// mirrored is what one mirror has of a connection that is over.
type mirrored struct {
	Ending
	lack      lack
	complains sync.Mutex // guards lack.counted and lack.err
}

// endMirrors tells the mirrors the end, says what they lack, and closes them beside the relay: that may take a
// while.
func (c *conn) endMirrors(forward, backward penstock.Report, end Termination, failed error) {
	elapsed := c.lasted
	all := make(map[*Mirror]*mirrored)
	for _, m := range c.mirrors {
		e := all[m.mirror]
		if e == nil {
			e = &mirrored{Ending: Ending{Termination: end, Elapsed: elapsed}}
			e.lack = lack{mirror: m.mirror.Name, connection: c.id}
			all[m.mirror] = e
		}
		share := &e.Forward
		if m.direction == Backward {
			share = &e.Backward
		}
		share.Had, share.Lost = m.got(forward, backward, true)
		if why := m.failure(failed); why != nil || share.Lost > 0 {
			e.lack.direction |= m.direction
			e.lack.had += share.Had
			e.lack.lost += share.Lost
			e.lack.err = cmp.Or(e.lack.err, why)
		}
	}
	for m, e := range all {
		if e.lack.direction != 0 {
			c.r.complaints.add(e.lack)
			e.lack.counted = true
		}
		if e.lack.err != nil {
			c.r.countFailed(m.Name)
		}
		if m.Ended != nil {
			m.Ended(c.info(), e.Ending)
		}
	}
	for _, m := range c.mirrors {
		if m.late == nil {
			continue
		}
		c.r.beside(m, func() {
			if err := m.close(); err != nil {
				all[m.mirror].complain(c.r, m.direction, err)
			}
		})
	}
}

// complain says what closing a mirror has come to.
func (e *mirrored) complain(r *Relay, d Direction, err error) {
	e.complains.Lock()
	defer e.complains.Unlock()
	l := lack{mirror: e.lack.mirror, connection: e.lack.connection, direction: d, err: err, counted: e.lack.counted}
	if l.had = e.Forward.Had; d == Backward {
		l.had = e.Backward.Had
	}
	r.complaints.add(l)
	e.lack.counted = true
	if e.lack.err == nil { // else it is among those that have failed
		r.countFailed(l.mirror)
	}
	e.lack.err = err
}

// failure returns what a mirror has failed with, if that is among a copy's errors.
func (m *mirroring) failure(err error) error {
	if m.late == nil {
		return nil
	}
	for _, f := range allFailures(err) {
		var o *penstock.OutputError
		if errors.As(f, &o) && o.Output == m.output && f.forward == (m.direction == Forward) {
			return o.Err
		}
	}
	return nil
}

// got tells how many bytes a mirror has had of a connection, and how many it will never have of those that it should. While
// the connection lasts neither ever becomes less.
func (m *mirroring) got(forward, backward penstock.Report, over bool) (delivered, lost int64) {
	rep := forward
	if m.direction == Backward {
		rep = backward
	}
	wanted := rep.Consumed
	if m.mirror.MaxBytes > 0 {
		wanted = min(wanted, m.mirror.MaxBytes)
	}
	if m.late == nil {
		return wanted, 0
	}
	out := rep.Outputs[m.output]
	if !over && !out.Failed {
		return out.Delivered, out.Skipped
	}
	return out.Delivered, max(wanted-out.Delivered, 0)
}
