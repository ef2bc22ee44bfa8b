package penstock

import (
	"context"
	"io"
	"math"
)

var (
	_ io.ReaderFrom = (*Pipe)(nil)
	_ io.WriterTo   = (*Pipe)(nil)
)

// ReadFrom reads r to its end, straight into pages, waiting for room as it must. [io.Copy] into a pipe uses it. Its
// error says which side failed.
func (p *Pipe) ReadFrom(r io.Reader) (total int64, err error) {
	src := SourceOf(r)
	for {
		if from, ok := src.(*pipeSource); ok { // its end is to be had without room
			if _, err := from.pipe.available(context.Background(), 0); err == io.EOF {
				return total, nil
			}
		}
		if err := p.room(context.Background(), 0); err != nil {
			return total, err
		}
		n, err := src.SpliceRead(p, math.MaxInt32, 0)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil && err != error(errPipeWouldBlock) { // another writer was faster: wait again
			return total, err
		}
	}
}

// WriteTo writes all that comes out of the pipe, to its end, straight from the pages. [io.Copy] out of a pipe uses it.
// What w does not take stays in the pipe, and its error says which side failed.
func (p *Pipe) WriteTo(w io.Writer) (total int64, err error) {
	sink := SinkOf(w).(stepper)
	for {
		n, err := p.available(context.Background(), 0)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err = sink.step(p, n, 0)
		total += int64(n)
		if err != nil && err != error(errPipeWouldBlock) { // another reader was faster: wait again
			return total, err
		}
	}
}
