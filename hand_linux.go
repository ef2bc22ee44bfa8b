package penstock

import (
	"fmt"

	"github.com/penstock-io/penstock/internal/kernel"
)

// What is in the hand of a carriage: a pipe that holds something, or a buffer.

func (c *carriage) inPipe() bool { return c.held > 0 }

// letGo gives back what is in the hand. Nothing is in it any more.
func (c *carriage) letGo() {
	c.letGoBuffer()
	put := (*Pool).putEmpty
	if c.stuck || c.held > 0 { // or a sink has panicked
		put = (*Pool).Put
	}
	if c.pipe != nil {
		put(c.pool(), c.pipe)
	}
	if c.spare != nil {
		put(c.pool(), c.spare)
	}
	c.pipe, c.spare, c.held = nil, nil, 0
}

// inHand returns what is in the hand, which is empty then.
func (c *carriage) inHand() (b []byte, err error) {
	if b = c.bytes; c.inPipe() {
		b, err = c.readAll(c.pipe, c.held)
		c.held = 0
	}
	return b, err
}

// readAll reads n bytes that a pipe holds.
func (c *carriage) readAll(p *KernelPipe, n int) ([]byte, error) {
	b := make([]byte, n)
	done := 0
	for done < n {
		m, err := kernel.Read(p.r.fd, b[done:])
		c.t.called()
		done += m
		if err != nil || m == 0 {
			c.stuck = true
			return b[:done], errLostInPipe(err)
		}
	}
	return b, nil
}

func errLostInPipe(err error) error { return fmt.Errorf("what was in flight cannot be read: %w", err) }
