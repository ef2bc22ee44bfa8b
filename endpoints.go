package penstock

import (
	"io"
	"time"
)

// readEnd and writeEnd are the ends that a transfer may wait at. A deadline in the past is what ends a wait; a descriptor
// without one is waited for in a way that its edge can end.
type (
	readEnd struct {
		v    io.Reader
		edge *edge
	}
	writeEnd struct {
		v    io.Writer
		edge *edge
	}
)

func (e readEnd) interrupt() {
	_ = setReadDeadline(e.v, past) // who has no deadlines is waited for: the doc says so
	if e.edge != nil {
		e.edge.interrupt()
	}
}

func (e readEnd) resume() {
	_ = setReadDeadline(e.v, time.Time{})
	if e.edge != nil {
		e.edge.resume()
	}
}

func (e writeEnd) interrupt() {
	setWriteDeadline(e.v, past)
	if e.edge != nil {
		e.edge.interrupt()
	}
}

func (e writeEnd) resume() {
	setWriteDeadline(e.v, time.Time{})
	if e.edge != nil {
		e.edge.resume()
	}
}
