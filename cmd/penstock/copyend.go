package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/address"
)

// How a copy ends: what becomes of what is in flight, who is told the end, and what is said of it.

// positionError says where in the stream something happened.
type positionError struct {
	at  int64
	err error
}

func (e *positionError) Error() string { return fmt.Sprintf("%v, at byte %d", e.err, e.at) }
func (e *positionError) Unwrap() error { return e.err }

// reason is what an error of a transfer is, without what is said elsewhere: which side it was, and what it is called.
func reason(op *penstock.OpError) error {
	err := op.Err
	if named := (*penstock.OutputError)(nil); errors.As(err, &named) {
		err = named.Err
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	if ne := (*net.OpError)(nil); errors.As(err, &ne) {
		err = ne.Err
	}
	if se := (*os.SyscallError)(nil); errors.As(err, &se) {
		return se.Err
	}
	return err
}

// interrupted tells whether an error is the user's wish: a signal, or --timeout.
func interrupted(ctx context.Context, op *penstock.OpError) bool {
	return ctx.Err() != nil && errors.Is(op, context.Cause(ctx))
}

// lost notes that a destination has failed in the middle, and keeps what was in flight if that is wanted.
func (s *stream) lost(o *output, op *penstock.OpError) {
	var inFlight []byte
	if op.InFlight != nil {
		inFlight, _ = io.ReadAll(op.InFlight) // memory, and what can fail was moved there before
	}
	s.lostAt(o, op.Offset+s.before+o.earlier(s), reason(op), inFlight)
}

// lostAt is lost of a destination that has failed at a place in the stream.
func (s *stream) lostAt(o *output, at int64, cause error, inFlight []byte) {
	err := error(&positionError{at, cause})
	// A command's status says more than a broken pipe, but there is no more to one than that.
	if cerr := o.end.Close(); cerr != nil && !errors.Is(cerr, syscall.EPIPE) {
		err = fmt.Errorf("%v; %s", err, withoutAddress(cerr)) // and so no broken pipe, which may be none to be told of
	}
	if n := len(inFlight); n > 0 && !s.forgives(o, err) {
		if s.job.saveInFlight == "" {
			o.fate = fmt.Sprintf("; %d bytes in flight did not reach it", n)
		} else {
			o.fate = s.save(o, inFlight)
		}
	}
	s.failed(o, err)
}

// earlier is how many bytes transfers before the one that runs have brought.
func (o *output) earlier(s *stream) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tr == nil {
		return 0 // counted already
	}
	return o.had
}

// save writes what was in flight to a file: the first destination's to the one named, another's with its number behind.
func (s *stream) save(o *output, inFlight []byte) string {
	name := s.job.saveInFlight
	for i := range s.outs {
		if s.outs[i] == o && i > 0 {
			name = fmt.Sprintf("%s.%d", name, i+1)
		}
	}
	if err := os.WriteFile(name, inFlight, 0o666); err != nil {
		return fmt.Sprintf("; %d bytes in flight did not reach it, and could not be saved: %v", len(inFlight), err)
	}
	return fmt.Sprintf("; %d bytes in flight are in %s", len(inFlight), name)
}

// deliver brings what was in flight at an interruption to where it was to go: to all destinations at once, so that one
// that takes nothing does not use up the others' time, and to each what had come as far as its queue before what had been
// read last.
func (s *stream) deliver(ops []*penstock.OpError) {
	var all sync.WaitGroup
	var last *penstock.Pipe
	for _, op := range ops {
		switch o := s.outputOf(op); {
		case op.InFlight == nil:
		case op.Side == penstock.SideSource:
			last = op.InFlight
		case o == nil:
			_, _ = io.Copy(s.sum, op.InFlight) // a hash takes everything
		default:
			all.Go(func() {
				b, _ := io.ReadAll(op.InFlight) // memory
				s.bring(o, b)
			})
		}
	}
	all.Wait()
	if last == nil {
		return
	}
	_ = s.src.Close() // a Read that was left behind: what it brings still comes
	_ = last.SetReadDeadline(time.Now().Add(time.Second))
	b, _ := io.ReadAll(last) // the deadline, or what the source has failed with meanwhile
	if s.sum != nil {
		_, _ = s.sum.Write(b)
	}
	for _, o := range s.outs {
		if o.err == nil && o.end != nil && len(b) > 0 {
			all.Go(func() { s.bring(o, b) })
		}
	}
	all.Wait()
}

var errGrace = fmt.Errorf("not taken within %v", grace)

// bring writes to one destination what was in flight.
func (s *stream) bring(o *output, b []byte) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), grace, errGrace)
	defer cancel()
	rep, err := penstock.Copy(ctx, o.end.Writer, bytes.NewReader(b))
	s.mu.Lock()
	o.had += rep.Delivered
	s.mu.Unlock()
	if ops := penstock.Failures(err); len(ops) > 0 {
		s.lostAt(o, s.before+o.had+o.skipped, reason(ops[0]), b[rep.Delivered:])
	}
}

// finish tells every destination that this is all, and waits until it is safe there.
func (s *stream) finish(ctx context.Context) {
	if s.src != nil && s.srcErr == nil {
		if err := s.src.Finish(ctx); err != nil {
			s.srcErr = err
		}
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), grace)
		defer cancel()
	}
	var all sync.WaitGroup
	for _, o := range s.outs {
		if o.end == nil || o.err != nil {
			continue
		}
		all.Go(func() {
			end := o.end.Finish
			if s.cut() && o.uploads() {
				end = func(context.Context) error { _ = o.end.Close(); return nil } // nobody is to take a part for the whole
			}
			if err := end(ctx); err != nil {
				s.failed(o, err)
			}
			s.mu.Lock()
			o.finished = true
			s.mu.Unlock()
		})
	}
	all.Wait()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
}

// cut tells whether the stream ended before its end.
func (s *stream) cut() bool { return s.srcErr != nil || s.broken || s.stopped }

// uploads tells whether a destination takes all or nothing.
func (o *output) uploads() bool {
	return o.addr.Scheme == address.HTTP || o.addr.Scheme == address.HTTPS
}

// giveUp closes what has not been finished.
func (s *stream) giveUp() {
	if s.src != nil {
		_ = s.src.Close() // it is of no use any more
	}
	for _, o := range s.outs {
		if o.end != nil {
			_ = o.end.Close()
		}
	}
}

// quietly tells whether a destination's failure is none.
func (s *stream) quietly(o *output) bool { return s.forgives(o, o.err) }

// forgives tells whether an error is none of a destination's: a pipe whose reader has gone, for who asked for that.
func (s *stream) forgives(o *output, err error) bool {
	nopipe := s.job.outputError == "warn-nopipe" || s.job.outputError == "exit-nopipe"
	return nopipe && errors.Is(err, syscall.EPIPE) && o.isPipe()
}

// isPipe tells whether what is written to is a pipe.
func (o *output) isPipe() bool {
	if o.end == nil {
		return false
	}
	f, ok := o.end.Writer.(*os.File)
	if !ok {
		return o.addr.Scheme == address.Exec
	}
	st, err := f.Stat()
	return err != nil || st.Mode()&os.ModeNamedPipe != 0 // closed by now: what was a file is not that
}

// status is what the command exits with.
func (s *stream) status() int {
	failed, whole, late := 0, 0, errors.Is(s.srcErr, errTimeout)
	for _, o := range s.outs {
		switch {
		case o.err == nil && o.end != nil && !s.stopped:
			whole++
		case errors.Is(o.err, errTimeout):
			late = true
		case o.err != nil && !s.quietly(o):
			failed++
		}
	}
	switch {
	case late:
		return exitFailed
	case s.srcErr != nil, s.broken:
		return exitSource
	case failed == 0:
		return 0
	case whole > 0:
		return exitSome
	default:
		return exitDestinations
	}
}

// note says what has become of a destination.
func (s *stream) note(o *output) string {
	switch {
	case o.err != nil:
		return "failed: " + o.why()
	case s.over && s.cut():
		return "ended early"
	case o.finished && o.skipped > 0:
		return "skipped " + bytesOf(int(o.skipped))
	case o.finished:
		return "done"
	default:
		return ""
	}
}

// why is what a destination failed with, without its name.
func (o *output) why() string { return withoutAddress(o.err) }

// withoutAddress takes the address off an error that begins with it.
func withoutAddress(err error) string {
	var ae *address.Error
	switch is := errors.As(err, &ae); {
	case !is || errors.As(err, new(*positionError)):
		return err.Error()
	case ae.Part != "":
		return ae.Part + ": " + ae.Err.Error()
	default:
		return ae.Err.Error()
	}
}

// sayLast shows what runs no more for the last time.
func (j *copyJob) sayLast() {
	j.mu.Lock()
	s := j.last
	j.mu.Unlock()
	if s == nil {
		return
	}
	_ = j.display.End(s.states()) // stderr is gone: there is nobody to tell
}

// tell says why a stream ended, and if not all went well how much each destination got.
func (s *stream) tell() {
	j := s.job
	var cause *signalError
	switch {
	case errors.As(s.srcErr, &cause), errors.Is(s.srcErr, errTimeout):
		why := "interrupted"
		if cause == nil {
			why = errTimeout.Error()
		}
		if s.began && s.delivered() {
			why += ": all that had been read has been delivered"
		}
		j.say("%s", why)
	case s.srcErr != nil:
		j.say("source %s: %s", j.source.Redacted(), withoutAddress(s.srcErr))
	}
	if s.sum != nil && !s.sum.tell(j, !s.cut() && s.reaches(), s.before) && s.srcErr == nil {
		s.srcErr = errors.New("the checksum could not be written")
	}
	all := len(s.outs) > 1 && s.status() != 0
	for _, o := range s.outs {
		what, n := "all of it", s.before+o.had
		switch {
		case !all && o.skipped == 0:
			continue
		case o.end == nil:
			what, n = "nothing", 0
		case o.err != nil || s.cut():
			what = "and no more"
		case o.skipped > 0:
			what = fmt.Sprintf("%d were skipped", o.skipped)
		}
		j.say("%s got %d bytes, %s", o.addr.Redacted(), n, what)
	}
}

// delivered tells whether all destinations have what was read. An upload that was cut has nothing of it.
func (s *stream) delivered() bool {
	return !slices.ContainsFunc(s.outs, func(o *output) bool {
		return o.err != nil || o.uploads()
	})
}
