package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

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
	// What has a descriptor (*os.File, *net.TCPConn, *net.UnixConn) gets the bytes by splice.
	Open func(ctx context.Context, c Info, d Direction) (io.WriteCloser, error)

	Direction  Direction // 0 is BothWays
	Ratio      float64   // of the connections that are mirrored; 0 is all
	MaxBytes   int64     // of each connection in each direction: the first ones; 0 is all
	Queue      int64     // bytes that it may be behind, in each direction of each connection; 0 is DefaultMirrorQueue
	Disconnect bool      // give up on a connection's copy when that is full, rather than leave out what there is no room for
}

// DefaultMirrorQueue is how far a mirror may be behind.
const DefaultMirrorQueue = 1 << 20

func (m *Mirror) check() error {
	switch {
	case m.Open == nil:
		return errors.New("nothing to open")
	case m.Direction > BothWays:
		return fmt.Errorf("direction %d: want Forward, Backward or both", m.Direction)
	case m.Ratio < 0 || m.Ratio > 1:
		return fmt.Errorf("ratio %v: want 0 to 1", m.Ratio)
	case m.MaxBytes < 0 || m.Queue < 0:
		return errors.New("a size is less than nothing")
	}
	return nil
}

// mirroring is what one mirror gets of one direction of a connection.
type mirroring struct {
	mirror    *Mirror
	direction Direction
	output    int // of the copy
	late      *penstock.Late
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
		if wanted&Forward != 0 {
			forward++
			opts = append(opts, c.mirror(m, Forward, forward)...)
		}
		if wanted&Backward != 0 {
			backward++
			back = append(back, c.mirror(m, Backward, backward)...)
		}
	}
	if len(c.mirrors) == 0 {
		return nil
	}
	goOn := penstock.WithOutputErrors(func(op *penstock.OpError) bool {
		return errors.As(op, new(*penstock.OutputError)) // a mirror's; the connection's own end it
	})
	return append(opts, goOn, penstock.WithBackward(append(back, goOn)...))
}

// mirror returns the options for a mirror of one direction.
func (c *conn) mirror(m *Mirror, d Direction, output int) []penstock.Option {
	info := c.info()
	late := penstock.NewLate(func(ctx context.Context) (io.WriteCloser, error) { return m.Open(ctx, info, d) })
	c.mirrors = append(c.mirrors, &mirroring{m, d, output, late})
	q := penstock.Queue{Size: m.Queue, Most: m.MaxBytes, Full: penstock.QueueSkips}
	if q.Size == 0 {
		q.Size = DefaultMirrorQueue
	}
	if m.Disconnect {
		q.Full = penstock.QueueFails
	}
	return []penstock.Option{penstock.WithTee(late), penstock.WithQueue(output, q)}
}

// endMirrors closes the mirrors, and says what they lack.
func (c *conn) endMirrors(forward, backward penstock.Report) {
	for _, m := range c.mirrors {
		delivered, lost := m.got(forward, backward, true)
		err := m.late.Close()
		if lost > 0 || err != nil {
			c.r.log.Warn("mirror", "mirror", m.mirror.Name, "connection", c.id, "direction", m.direction.String(),
				"bytes", delivered, "lost", lost, "error", err)
		}
	}
}

// got tells how many bytes a mirror has had of a connection, and how many it will never have of those that it should. While
// the connection lasts neither ever becomes less.
func (m *mirroring) got(forward, backward penstock.Report, over bool) (delivered, lost int64) {
	rep := forward
	if m.direction == Backward {
		rep = backward
	}
	out := rep.Outputs[m.output]
	if !over && !out.Failed {
		return out.Delivered, out.Skipped
	}
	wanted := rep.Consumed
	if m.mirror.MaxBytes > 0 {
		wanted = min(wanted, m.mirror.MaxBytes)
	}
	return out.Delivered, max(wanted-out.Delivered, 0)
}
