package relay

import (
	"errors"
	"io"
	"slices"
	"syscall"

	"github.com/penstock-io/penstock"
)

// Termination says how a connection ended, as HAProxy logs it: who ended it, and in which phase.
type Termination [2]byte

// String returns the two letters.
func (t Termination) String() string { return string(t[:]) }

// Who ended it.
const (
	byNobody        = '-' // both sides had said all
	byClient        = 'C' // the client reset it, or went away
	byServer        = 'S' // the target refused it, reset it, or went away
	byProxy         = 'P' // a limit, or a list of addresses
	byResources     = 'R' // no descriptors, memory or ports
	byAdministrator = 'K' // it was killed
	byDrain         = 'D' // the relay was shut down
	byClientTimeout = 'c' // the client had nothing to say for too long
	byServerTimeout = 's' // the target did not answer in time
	byInternal      = 'I' // something that should not happen
)

// In which phase.
const (
	inHello   = 'R' // the client's PROXY header, or its TLS handshake
	inConnect = 'C' // a target was being connected to
	inData    = 'D' // bytes were moving
	inNone    = '-' // at its end
)

var (
	errKilled  = errors.New("killed")
	errDrained = errors.New("the relay is shutting down")
	errNeeded  = errors.New("its descriptors are needed by connections that are not over")
	errTooLong = errors.New("open for too long")
)

// ended judges the error of the data phase.
func ended(forward, backward penstock.Report, err, cause error) Termination {
	switch {
	case errors.Is(cause, errKilled):
		return Termination{byAdministrator, inData}
	case errors.Is(cause, errDrained):
		return Termination{byDrain, inData}
	case errors.Is(cause, errTooLong), errors.Is(err, penstock.ErrTooMuch):
		return Termination{byProxy, inData}
	case err == nil:
		return Termination{byNobody, inNone}
	case errors.Is(err, penstock.ErrIdle):
		stuck, back := forward.Consumed-forward.Delivered, backward.Consumed-backward.Delivered
		if stuck > 0 && (back == 0 || forward.SinkStalled > backward.SinkStalled) { // the target takes nothing
			return Termination{byServerTimeout, inData}
		}
		return Termination{byClientTimeout, inData}
	}
	return Termination{whoBroke(err), inData}
}

// whoBroke finds the side that the first error is of: a reset is told by whoever reads from there, or writes.
func whoBroke(err error) byte {
	for _, op := range failures(err) {
		switch {
		case errors.Is(op, penstock.ErrPeerFailed):
			continue
		case op.Side == penstock.SideSource && op.forward, op.Side == penstock.SideSink && !op.forward:
			return byClient
		case op.Side == penstock.SideSource, op.Side == penstock.SideSink:
			return byServer
		}
	}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) {
		return byResources
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return byClient
	}
	return byInternal
}

// failure is one thing that failed, and in which direction.
type failure struct {
	*penstock.OpError
	forward bool
}

// failures returns what has failed in a CopyBoth. What mirrors fail with is not the connection's.
func failures(err error) []failure {
	return slices.DeleteFunc(allFailures(err), func(f failure) bool { return errors.As(f, new(*penstock.OutputError)) })
}

// allFailures takes the error of a CopyBoth apart.
func allFailures(err error) (all []failure) {
	parts := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts = joined.Unwrap()
	}
	for _, part := range parts {
		var d *penstock.DirectionError
		if !errors.As(part, &d) {
			continue
		}
		for _, op := range penstock.Failures(d.Err) {
			all = append(all, failure{op, d.Direction == "forward"})
		}
	}
	return all
}
