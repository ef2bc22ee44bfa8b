package penstock

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Side tells on which side of a transfer something happened: the question that one error number for two descriptors
// leaves open.
type Side uint8

// The sides of a transfer. The pipe between source and sink is a side of its own: it can be full, empty or closed.
const (
	SidePipe Side = iota
	SideSource
	SideSink
)

func (s Side) String() string {
	switch s {
	case SideSource:
		return "source"
	case SideSink:
		return "sink"
	default:
		return "pipe"
	}
}

// OpError is the error of every verb. errors.Is sees through it to the system's error number.
type OpError struct {
	Op     string // the verb: "splice", "tee", "vmsplice", "copy", "read", "write", "resize", …
	Side   Side   // the side that failed, or that would have blocked
	Path   Path   // the way that the bytes were going; empty if none had been chosen
	Offset int64  // of a memory pipe, and of a Copy: the byte of the stream at which it happened; else 0, as for ErrWouldBlock
	Err    error  // the cause

	// InFlight is what [Copy] had taken from the source and the sink has not taken: nil if that is nothing, or if it was
	// no Copy. Whoever has the error owns it: to be read, spliced or given to [Resume]; it ends with io.EOF. It lies on
	// the heap, and needs not be closed.
	InFlight *Pipe
}

// Error reads "penstock: op side: cause".
func (e *OpError) Error() string {
	return fmt.Sprintf("penstock: %s %s: %v", e.Op, e.Side, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// SideOf returns the side that err blames, and whether it blames any.
func SideOf(err error) (Side, bool) {
	var op *OpError
	if errors.As(err, &op) {
		return op.Side, true
	}
	return SidePipe, false
}

// Failures takes the error of a [Copy] or a [CopyBoth] apart: each thing that failed, in the order in which it did. An
// output is named by an [OutputError] in it, the destination by none.
func Failures(err error) (ops []*OpError) {
	switch e := err.(type) {
	case *OpError:
		return []*OpError{e}
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			ops = append(ops, Failures(part)...)
		}
	case interface{ Unwrap() error }:
		return Failures(e.Unwrap())
	}
	return ops
}

var (
	// ErrWouldBlock is what a NonBlock call returns that could move nothing; it is syscall.EAGAIN to errors.Is. The
	// errors that wrap it name the side.
	ErrWouldBlock error = syscall.EAGAIN

	// ErrCannotInterrupt says that a source has no deadlines, so that a wait on it cannot be ended from outside.
	ErrCannotInterrupt = errors.New("this source's waits cannot be interrupted")

	// ErrCannotSplice says that there is no way from this source to this sink by splice: neither is a pipe, and they
	// have no buffer to show each other. It is not EINVAL, which is for arguments that are wrong.
	ErrCannotSplice = errors.New("neither side is a pipe, and they have no buffer to share")

	// ErrTruncated says that a page was truncated away between the time it was put into a pipe and the time somebody
	// wanted its bytes: ENODATA in the kernel.
	ErrTruncated = errors.New("the page was truncated away")

	// ErrIdle says that nothing has moved for as long as [WithIdleTimeout] allows.
	ErrIdle error = idleError{}

	// ErrTooMuch says that a source has given more than [WithMost] allows.
	ErrTooMuch = errors.New("more bytes than are allowed")

	// ErrNoKernelPipe says that no kernel pipe is to be had: not Linux, the pool's limit, or the user's pipe or
	// descriptor budget. A [Pipe] serves instead.
	ErrNoKernelPipe = errors.New("no kernel pipe to be had")
)

// idleError is a timeout to those who ask, as the errors of package net are.
type idleError struct{}

func (idleError) Error() string   { return "nothing has moved for the idle timeout" }
func (idleError) Timeout() bool   { return true }
func (idleError) Temporary() bool { return true }
func (idleError) Is(err error) bool {
	return err == os.ErrDeadlineExceeded
}

// The hot path's errors are made once: a sink that would block is not worth an allocation.
var (
	errSourceWouldBlock    = &OpError{Op: "splice", Side: SideSource, Err: ErrWouldBlock}
	errSinkWouldBlock      = &OpError{Op: "splice", Side: SideSink, Err: ErrWouldBlock}
	errPipeWouldBlock      = &OpError{Op: "splice", Side: SidePipe, Err: ErrWouldBlock}
	errTeeSourceWouldBlock = &OpError{Op: "tee", Side: SideSource, Err: ErrWouldBlock}
	errTeeSinkWouldBlock   = &OpError{Op: "tee", Side: SideSink, Err: ErrWouldBlock}
	errReadWouldBlock      = &OpError{Op: "read", Side: SidePipe, Err: ErrWouldBlock}
	errWriteWouldBlock     = &OpError{Op: "write", Side: SidePipe, Err: ErrWouldBlock}
)

// wouldBlock returns the error of a verb that would have to wait for that side.
func wouldBlock(op string, side Side) error {
	for _, e := range []*OpError{
		errSourceWouldBlock, errSinkWouldBlock, errPipeWouldBlock, errTeeSourceWouldBlock, errTeeSinkWouldBlock,
		errReadWouldBlock, errWriteWouldBlock,
	} {
		if e.Side == side && e.Op == op {
			return e
		}
	}
	return &OpError{Op: op, Side: side, Err: ErrWouldBlock}
}

func opErr(op string, side Side, path Path, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: op, Side: side, Path: path, Err: err}
}
