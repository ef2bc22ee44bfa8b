package penstock

import (
	"context"
	"errors"
	"math"
	"slices"
)

// What is in flight when a transfer fails. It lies in a memory pipe on the heap, which may be forgotten.

// heapPipe is a pipe of pieces that are its own, one after the other, and then the end; nil if there are no bytes.
func heapPipe(pieces ...[]byte) *Pipe {
	pieces = slices.DeleteFunc(pieces, func(b []byte) bool { return len(b) == 0 })
	if len(pieces) == 0 {
		return nil
	}
	p := NewPipe(len(pieces))
	for _, b := range pieces {
		deposit(p, b)
	}
	_ = p.CloseWrite() // never fails
	return p
}

// deposit gives b to a pipe that has nobody else who writes, on a longer ring if what has been put in front of it has all
// of that.
func deposit(p *Pipe, b []byte) {
	p.mu.Lock()
	defer p.unlock()
	if p.readClosed {
		return // nobody wants it
	}
	if used := int(p.head-p.tail) + int(p.reserved); used == len(p.ring) {
		p.moveRingLocked(powerOfTwo(used + 1))
	}
	p.pushLocked(Buffer{page: loosePage(b), length: uint32(len(b))})
}

// filling tells whether more may come into a pipe: into one that is in flight, from a Read that was left behind.
func (p *Pipe) filling() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.writeClosed
}

// leftover takes out of a Source what it has read and no pipe has taken.
func leftover(s Source) (b []byte) {
	switch s := s.(type) {
	case *readerSource:
		b, s.rest = s.rest, nil
	case interface{ leftover() []byte }:
		b = s.leftover()
	}
	return b
}

// inFlightOf returns what an error says is in flight, nil if it does not.
func inFlightOf(err error) *Pipe {
	var op *OpError
	if errors.As(err, &op) {
		return op.InFlight
	}
	return nil
}

// gather brings together, in the first of the errors of a Copy, what is in flight to the output that it is of: what that
// lacked of its own, in its queue, and behind it what no output has had, of a header or of a Read that was left behind.
func gather(err error) {
	ops := Failures(err)
	if len(ops) < 2 {
		return
	}
	first := ops[0]
	for _, op := range ops[1:] {
		if op.InFlight == nil || op.InFlight == first.InFlight || ofAnother(op, first) {
			continue
		}
		if first.InFlight.precede(op.InFlight) {
			first.InFlight, op.InFlight = op.InFlight, nil
		}
	}
}

// ofAnother tells whether an error is of an output, and not of the one that first is of.
func ofAnother(op, first *OpError) bool {
	var one, other *OutputError
	return errors.As(op, &other) || op.Side == SideSink && errors.As(first, &one)
}

// precede puts what a pipe in flight holds in front of what another one does. It does not if that has been closed.
func (p *Pipe) precede(rest *Pipe) bool {
	if p == nil {
		return true
	}
	var bufs []Buffer
	for {
		b, err := p.Pull(context.Background(), math.MaxInt, NonBlock)
		if err != nil {
			break
		}
		bufs = append(bufs, b)
	}
	if err := rest.Unread(bufs...); err != nil {
		_ = p.Unread(bufs...) // which nobody else has
		return false
	}
	return true
}
