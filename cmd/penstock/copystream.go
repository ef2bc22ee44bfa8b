package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/address"
)

// stream is what goes from one source to the destinations; or from several sources, one after the other, as long as the
// destinations stay open.
type stream struct {
	job   *copyJob
	given ends

	src     *address.End
	srcErr  error // why there is no source, or no more of it
	broken  bool  // a source before this one broke
	stopped bool  // by a destination's failure: those that have not failed have not got everything
	sum     *checksum

	mu     sync.Mutex // guards what follows, which is shown while it changes
	outs   []*output
	began  bool               // something has been copied, or tried to
	tr     *penstock.Transfer // the one that runs
	took   time.Duration      // by those before it
	total  int64              // bytes that there will be, -1 if that is not known
	before int64              // bytes that a resumed file had
	over   bool
}

// ends are those that are open before a stream begins: those of a connection that was waited for.
type ends struct {
	source      *address.End
	destination *address.End
	place       int                                         // of the destination
	next        func(context.Context) (*address.End, error) // the next source, io.EOF if there is none; nil if there is but one
}

// output is one destination.
type output struct {
	addr address.Address
	end  *address.End // nil if it could not be opened

	place    int   // among the outputs of the transfer; -1 if it is not among them
	had      int64 // bytes that transfers before have brought
	skipped  int64
	path     penstock.Path // the way that they took
	err      error         // what it failed with
	fate     string        // of what was in flight
	finished bool
}

// open opens all that is not open yet. What cannot be opened has failed.
func (s *stream) open(ctx context.Context) {
	s.mu.Lock()
	for _, a := range s.job.destinations {
		s.outs = append(s.outs, &output{addr: a, place: -1})
	}
	s.mu.Unlock()
	if s.job.resume { // what is there says where to begin
		s.openDestinations(ctx)
		s.openSource(ctx)
		for _, o := range s.outs {
			if o.err == nil && s.reads(&o.addr) {
				s.failed(o, errItself)
				s.stopped = s.stopped || s.job.exits()
			}
		}
		return
	}
	if s.openSource(ctx); s.srcErr == nil {
		s.openDestinations(ctx)
	}
}

func (s *stream) openSource(ctx context.Context) {
	c := s.job.config()
	c.Offset = s.before + int64(s.job.skip)
	s.src = s.given.source
	if s.src == nil {
		if s.src, s.srcErr = s.job.source.Open(ctx, address.Source, c); s.srcErr != nil {
			return
		}
	} else {
		s.src.Skip = c.Offset
	}
	if s.src.Skip > 0 {
		rep, err := penstock.Copy(ctx, io.Discard, s.src.Reader, penstock.WithLimit(s.src.Skip))
		if err == nil && rep.Consumed < s.src.Skip {
			err = fmt.Errorf("it has %d bytes, and %d were to be skipped", rep.Consumed, s.src.Skip)
		}
		s.srcErr = err
		s.src.Size = max(s.src.Size-s.src.Skip, -1)
	}
	s.expect()
}

// expect works out how many bytes there will be.
func (s *stream) expect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.job
	switch {
	case j.show.size > 0:
		s.total = int64(j.show.size)
	case s.src != nil && s.src.Size >= 0 && s.given.next == nil:
		s.total = s.before + s.src.Size
	}
	if limit := s.most(); limit >= 0 && (s.total < 0 || s.total > s.before+limit) {
		s.total = s.before + limit
	}
}

// most is how many bytes are to be copied at most; -1 for all. What --size says is of a resumed file as a whole.
func (s *stream) most() int64 {
	n := s.job.most
	if left := int64(s.job.show.size) - s.before; s.job.stopAtSize && left < n {
		n = max(left, 0)
	}
	return n
}

func (s *stream) openDestinations(ctx context.Context) {
	c := s.job.config()
	c.Resume = s.job.resume
	for i, o := range s.outs {
		end, err := s.given.destination, error(nil)
		switch {
		case s.reads(&o.addr):
			err = errItself
		case end == nil || s.given.place != i:
			end, err = o.addr.Open(ctx, address.Destination, c)
		}
		if err == nil && s.job.resume && o.addr.Scheme == address.File {
			if err = s.resumed(i, end.Offset); err != nil {
				_ = end.Close() // nothing has been written to it
				end = nil
			}
		}
		s.mu.Lock()
		o.end = end
		s.mu.Unlock()
		if err != nil && ctx.Err() != nil {
			s.srcErr = context.Cause(ctx) // it is not the destination that is to blame
			return
		}
		if err != nil {
			s.failed(o, err)
			if s.job.exits() {
				s.stopped = true
				return
			}
		}
	}
}

var errItself = errors.New("is the source: it would be emptied, or grow for ever")

// reads tells whether a destination is the file that is read from. With an offset that may be meant.
func (s *stream) reads(a *address.Address) bool {
	if s.src == nil {
		return false
	}
	f, is := s.src.Reader.(*os.File)
	if !is {
		return false
	}
	var to os.FileInfo
	err := os.ErrInvalid
	switch {
	case a.Scheme == address.Stdio:
		to, err = os.Stdout.Stat()
	case a.Scheme == address.File && a.Options.Offset == 0:
		to, err = os.Stat(a.Path)
	}
	if err != nil {
		return false
	}
	from, err := f.Stat()
	return err == nil && from.Mode().IsRegular() && os.SameFile(from, to)
}

// resumed takes the length of a file that is to be gone on with: the same for all.
func (s *stream) resumed(i int, had int64) error {
	for _, o := range s.outs[:i] {
		if o.addr.Scheme == address.File && o.err == nil && s.before != had {
			return fmt.Errorf("it has %d bytes, and %s has %d: only what is equally long can be resumed together", had, o.addr.Redacted(), s.before)
		}
	}
	s.mu.Lock()
	s.before = had
	s.mu.Unlock()
	return nil
}

// exits tells whether the first failure of a destination is to end everything.
func (j *copyJob) exits() bool { return j.outputError == "exit" || j.outputError == "exit-nopipe" }

// failed notes that a destination has failed, and says so.
func (s *stream) failed(o *output, err error) {
	s.mu.Lock()
	o.err = err
	s.mu.Unlock()
	if s.quietly(o) {
		return
	}
	s.job.say("destination %s: %s%s", o.addr.Redacted(), o.why(), o.fate)
}

// ready tells whether there is something to be copied to somewhere.
func (s *stream) ready() bool {
	return s.srcErr == nil && !s.stopped && s.reaches()
}

// move copies until the source ends, or something fails.
func (s *stream) move(ctx context.Context) {
	opts := s.job.options()
	if n := s.most(); n >= 0 {
		opts = append(opts, penstock.WithLimit(max(n-s.copied(), 0)))
	}
	grow(s.src.Reader, s.job.pipes())
	ws := s.writers()
	for _, o := range s.outs {
		if q, ok := s.job.queueOf(&o.addr); ok && o.place >= 0 {
			opts = append(opts, penstock.WithQueue(o.place, q))
		}
	}
	if s.job.sum != "" {
		if s.sum == nil {
			s.sum = newChecksum(s.job.sum)
		}
		opts = append(opts, penstock.WithQueue(len(ws), penstock.Queue{Size: sumBuffer}))
		ws = append(ws, s.sum)
	}
	opts = append(opts, penstock.WithTee(ws[1:]...), penstock.WithOutputErrors(func(op *penstock.OpError) bool {
		return s.outputFailed(ctx, op)
	}))
	tr := penstock.NewTransfer(ws[0], s.src.Reader, opts...)
	s.shows(tr)
	rep, err := tr.Run(ctx)
	s.settle(ctx, rep, err)
}

// shows makes a transfer the one that can be looked at, and be slowed down: it has the speed of now, which somebody may
// have changed since its options were made.
func (s *stream) shows(tr *penstock.Transfer) {
	s.job.mu.Lock()
	defer s.job.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tr, s.began = tr, true
	tr.SetRate(s.job.speed)
}

// writers are the destinations that are left. Each is told its place among the outputs of the transfer.
func (s *stream) writers() (ws []io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.outs {
		if o.place = -1; o.err != nil {
			continue
		}
		grow(o.end.Writer, s.job.pipes())
		o.place = len(ws)
		ws = append(ws, o.end.Writer)
	}
	return ws
}

// copied returns how many bytes sources before this one have given.
func (s *stream) copied() (n int64) {
	for _, o := range s.outs {
		n = max(n, o.had+o.skipped)
	}
	return n
}

// queueOf is the buffer of a destination, if it has one.
func (j *copyJob) queueOf(a *address.Address) (q penstock.Queue, is bool) {
	q.Size = int64(j.buffer)
	switch a.Options.OnSlow {
	case "skip":
		q.Full = penstock.QueueSkips
	case "disconnect":
		q.Full = penstock.QueueFails
	default:
		if j.buffer == 0 {
			return q, false
		}
	}
	if q.Size == 0 {
		q.Size = defaultBuffer
	}
	q.Start, q.Refill = j.startAbove.of(q.Size), j.refillBelow.of(q.Size)
	return q, true
}

// outputFailed is told when one of several destinations fails, and says whether to go on without it.
func (s *stream) outputFailed(ctx context.Context, op *penstock.OpError) bool {
	if errors.Is(op, penstock.ErrIdle) {
		return false // of all of them: who is to blame is found out when it is over
	}
	if o := s.outputOf(op); o != nil && !interrupted(ctx, op) {
		s.lost(o, op)
		s.stopped = s.job.exits() && !s.quietly(o)
		return !s.stopped && s.reaches()
	}
	return false
}

// reaches tells whether there is a destination left: a checksum alone is not worth going on for.
func (s *stream) reaches() bool {
	return slices.ContainsFunc(s.outs, func(o *output) bool { return o.end != nil && o.err == nil })
}

// outputOf finds the destination that an error is about: nil if that is the checksum.
func (s *stream) outputOf(op *penstock.OpError) *output {
	var named *penstock.OutputError
	place := 0
	if errors.As(op, &named) {
		place = named.Output
	}
	for _, o := range s.outs {
		if o.place == place {
			return o
		}
	}
	return nil
}

// settle takes account of what a transfer has done, and of what it left.
func (s *stream) settle(ctx context.Context, rep penstock.Report, err error) {
	s.mu.Lock()
	s.took += rep.Elapsed
	for _, o := range s.outs {
		if o.place < 0 {
			continue
		}
		out := o.reportIn(&rep)
		o.had += out.Delivered
		o.skipped += out.Skipped
		o.path = out.Path
	}
	s.tr = nil
	s.mu.Unlock()
	ops := penstock.Failures(err)
	quiet := slices.ContainsFunc(ops, func(op *penstock.OpError) bool {
		return op.Side == penstock.SideSource && errors.Is(op, penstock.ErrIdle)
	})
	var asked []*penstock.OpError
	for _, op := range ops {
		o := s.outputOf(op)
		switch {
		case interrupted(ctx, op):
			asked = append(asked, op)
		case quiet && op.Side == penstock.SideSink && errors.Is(op, penstock.ErrIdle): // a queue has waited for more in vain
			asked = append(asked, op)
		case op.Side == penstock.SideSource || o == nil:
			s.srcErr = &positionError{op.Offset + s.before, reason(op)}
		case o.err == nil:
			s.lost(o, op)
		}
	}
	s.deliver(asked)
	if ctx.Err() != nil && s.srcErr == nil {
		s.srcErr = context.Cause(ctx)
	}
}

// another gets the next source ready, if there is to be one and somewhere to copy it to.
func (s *stream) another(ctx context.Context) bool {
	if s.given.next == nil {
		return false
	}
	if broke := new(positionError); errors.As(s.srcErr, &broke) && ctx.Err() == nil { // one that breaks is not the last
		s.job.say("source %s: %v; waiting for the next", s.src.Peer, s.srcErr)
		s.broken, s.srcErr = true, nil
	}
	if !s.ready() {
		return false
	}
	_ = s.src.Finish(ctx) // a connection that was only read from has nothing more to say
	var err error
	if s.src, err = s.given.next(ctx); err != nil {
		s.src = nil
		if err != io.EOF {
			s.srcErr = err
		}
		return false
	}
	return true
}

// setSpeed changes the rate limit of the transfer that runs.
func (s *stream) setSpeed(bytesPerSecond int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tr != nil {
		s.tr.SetRate(bytesPerSecond)
	}
}
