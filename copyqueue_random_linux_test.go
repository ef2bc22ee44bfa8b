package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

var (
	copySchedules = flag.Int("copyschedules", 120, "random schedules of transfers with queues to run")
	copySeed      = flag.Uint64("copyseed", 0, "the first one's seed, and each has the next; 0 is another each time")
)

// TestNothingIsLostHoweverOutputsDawdle runs random transfers with several outputs, with and without queues, to sinks
// that dawdle, stall, fail, panic and refuse splice, from sources that trickle and fail, cancelled at any moment, with
// pools that have little to give. What each output got and what is in flight to it must be the stream, but for what its
// queue skipped, and what is left of the source its rest; every report must make sense; and afterwards nothing is lent
// and nobody runs.
//
// A schedule's seed says what is to happen, and not which of it first.
func TestNothingIsLostHoweverOutputsDawdle(t *testing.T) {
	seed := *copySeed
	if seed == 0 {
		seed = rand.Uint64N(1<<63) | 1
	}
	fmt.Printf("transfers from -copyseed %d on\n", seed) // not by t.Log, which a panic elsewhere swallows
	for i := range *copySchedules {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			s := &copySchedule{t: t, r: rand.New(rand.NewPCG(seed+uint64(i), 0)), free: make(chan struct{})}
			s.run()
		})
		if t.Failed() {
			t.Fatalf("run it again with -args -copyschedules 1 -copyseed %d", seed+uint64(i))
		}
	}
	mover := func() bool {
		all := make([]byte, 1<<20)
		stacks := string(all[:runtime.Stack(all, true)])
		return strings.Contains(stacks, "penstock.(*queue)") || strings.Contains(stacks, "penstock.(*reads)")
	}
	for deadline := time.Now().Add(5 * time.Second); mover(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("a goroutine is left that belongs to a transfer")
		}
	}
}

// copySchedule is one random transfer.
type copySchedule struct {
	t    *testing.T
	r    *rand.Rand
	log  []string
	free chan struct{} // closed when whoever stalls is to go on

	data   []byte // what the source has
	header []byte
	src    io.Reader
	intact bool // what is left of it can be read
	sinks  []randomSink
	queues map[int]penstock.Queue
	opts   []penstock.Option
	pool   *penstock.Pool

	fallen   map[int]int64 // where the outputs were that the transfer has gone on without
	cancelAt int64         // bytes consumed; -1 for never
	panics   bool
	tr       *penstock.Transfer
	last     penstock.Report // that has been looked at
	mu       sync.Mutex      // guards last
}

func (s *copySchedule) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// fork returns randomness for another goroutine.
func (s *copySchedule) fork() *rand.Rand { return rand.New(rand.NewPCG(s.r.Uint64(), 1)) }

func (s *copySchedule) one(in int) bool { return s.r.IntN(in) == 0 }

// size returns a number of bytes that may be small or large.
func (s *copySchedule) size(bits int) int { return s.r.IntN(1 << s.r.IntN(bits+1)) }

func (s *copySchedule) run() {
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s", strings.Join(s.log, "\n"))
		}
	}()
	s.data = make([]byte, s.size(20))
	rand.NewChaCha8([32]byte{byte(s.r.Uint32())}).Read(s.data)
	s.queues, s.fallen = make(map[int]penstock.Queue), make(map[int]int64)
	s.cancelAt = -1
	s.source()
	for range 1 + s.r.IntN(4) {
		s.sinks = append(s.sinks, s.sink())
	}
	s.options()
	if s.one(3) {
		s.cancelAt = int64(s.r.IntN(len(s.data) + 1))
		s.note("cancelled at %d", s.cancelAt)
	}
	ws := []io.Writer{}
	for _, sink := range s.sinks {
		ws = append(ws, sink.w)
	}
	s.tr = penstock.NewTransfer(ws[0], s.src, append(s.opts, penstock.WithTee(ws[1:]...))...)
	rep, err, panicked := s.transfer()
	s.note("%+v, %v", rep, err)
	if panicked {
		s.afterPanic()
		return
	}
	s.returned()
	s.check(rep)
	s.account(rep, err)
}

// transfer runs it, while somebody looks on, and cancels it.
func (s *copySchedule) transfer() (rep penstock.Report, err error, panicked bool) {
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	over := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(over)
	patience := time.Duration(s.r.IntN(6)) * time.Millisecond
	others.Go(func() {
		began, freed := time.Now(), false
		for {
			select {
			case <-over:
				if !freed {
					close(s.free)
				}
				return
			case <-time.After(100 * time.Microsecond):
			}
			now := s.look()
			if s.cancelAt >= 0 && (now.Consumed >= s.cancelAt || time.Since(began) > 10*patience) {
				cancel(errGone)
			}
			if !freed && time.Since(began) > 4*patience {
				freed = true
				close(s.free)
			}
			if time.Since(began) > 20*time.Second {
				all := make([]byte, 1<<20)
				panic(fmt.Sprintf("it does not end: %s\n%+v\n%s", strings.Join(s.log, "\n"), now, all[:runtime.Stack(all, true)]))
			}
		}
	})
	func() {
		defer func() {
			if v := recover(); v != nil {
				if v != any(errBomb) || !s.panics {
					panic(v)
				}
				panicked = true
			}
		}()
		rep, err = s.tr.Run(ctx)
	}()
	return rep, err, panicked
}

var errBomb = errors.New("a panic that is to be")

// look takes a report, and holds it against the one before.
func (s *copySchedule) look() penstock.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	rep := s.tr.Report()
	s.check(rep)
	if rep.Consumed < s.last.Consumed || rep.Delivered < s.last.Delivered || rep.Elapsed < s.last.Elapsed {
		s.t.Errorf("%+v, and then %+v", inFull(s.last), inFull(rep))
	}
	s.last = rep
	return rep
}

// check tells whether a report's parts are no more than their wholes.
func (s *copySchedule) check(rep penstock.Report) {
	by := int64(0)
	for _, p := range []penstock.Path{
		penstock.PathReadWrite, penstock.PathSplice, penstock.PathTeeSplice, penstock.PathSendfile,
		penstock.PathCopyFileRange, penstock.PathPages,
	} {
		by += rep.By(p)
	}
	if by > rep.Delivered || rep.Delivered > rep.Consumed || rep.Since > rep.Elapsed {
		s.t.Errorf("%d by some way: %+v", by, inFull(rep))
	}
	for i, out := range rep.Outputs {
		want := rep.Delivered
		if i > 0 {
			want = rep.Tees[i-1]
		}
		if out.Delivered != want || out.Delivered+out.Queued+out.Skipped > rep.Consumed {
			s.t.Errorf("output %d of %+v", i, inFull(rep))
		}
	}
}

// inFull is a report that is printed with all its fields.
type inFull penstock.Report

// returned sees that everything the pool has lent is back.
func (s *copySchedule) returned() {
	if stats := s.pool.Stats(); stats.Held != stats.Idle {
		s.t.Errorf("the pool has lent %d bytes", stats.Held-stats.Idle)
	}
	s.pool.Close()
}

// afterPanic waits for whoever stalled in a queue's Write when the transfer was abandoned.
func (s *copySchedule) afterPanic() {
	for _, sink := range s.sinks {
		sink.got()
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if stats := s.pool.Stats(); stats.Held == stats.Idle {
			break
		}
	}
	s.returned()
}

// account holds what everybody got, what is in flight and what is left of the source against the stream.
func (s *copySchedule) account(rep penstock.Report, err error) {
	stream := append(bytes.Clone(s.header), s.data...)
	if rep.Consumed == 0 && err != nil { // it was over before it began: the header is the caller's as it was
		stream = s.data
	}
	flight, nobodys, left := make(map[int][]byte), []byte(nil), []byte(nil)
	for _, op := range penstock.Failures(err) {
		b := s.read(op.InFlight)
		if at, is := outputOf(op); is {
			flight[at] = append(flight[at], b...)
		} else {
			nobodys = append(nobodys, b...)
		}
	}
	if s.intact {
		left = s.read(s.src)
	}
	for i, sink := range s.sinks {
		got, delivered, skipped := sink.got(), rep.Delivered, int64(0)
		if i > 0 {
			delivered = rep.Tees[i-1]
		}
		if rep.Outputs != nil {
			skipped = rep.Outputs[i].Skipped
		}
		if sink.exact && int64(len(got)) != delivered || int64(len(got)) > delivered {
			s.t.Errorf("output %d got %d bytes, and is said to have got %d", i, len(got), delivered)
			continue
		}
		lacks := append([]byte{}, flight[i]...)
		end, early := s.fallen[i]
		early = early && end < rep.Consumed
		if !early {
			if lacks, end = append(lacks, nobodys...), rep.Consumed; s.intact {
				lacks, end = append(lacks, left...), int64(len(stream))
			}
		}
		if sink.loses { // the peer has gone, with what it had not read
			if skipped > 0 {
				continue
			}
			got = stream[:delivered]
		}
		all := append(bytes.Clone(got), lacks...)
		if most := s.queues[i].Most; most > 0 && most < end {
			if end = most; int64(len(got)+len(flight[i]))+skipped > most {
				s.t.Errorf("output %d got %d, %d in flight, %d skipped, of %d at most", i, len(got), len(flight[i]), skipped, most)
			}
			all = all[:min(int64(len(all)), max(most-skipped, 0))]
		}
		if int64(len(all))+skipped != end || !inRuns(all, stream, skipped > 0) {
			s.t.Errorf("output %d got %d, %d in flight, %d nobody's, %d skipped, %d left, all of which is to be %d; or others",
				i, len(got), len(flight[i]), len(nobodys), skipped, len(left), end)
		}
		if q, has := s.queues[i]; skipped > 0 && (!has || q.Full != penstock.QueueSkips) {
			s.t.Errorf("output %d skipped %d, which it is not to", i, skipped)
		}
	}
}

// outputOf returns which output an error is of, if it is of one.
func outputOf(op *penstock.OpError) (int, bool) {
	if named := (*penstock.OutputError)(nil); errors.As(op, &named) {
		return named.Output, true
	}
	return 0, op.Side == penstock.SideSink
}

// read reads what there is.
func (s *copySchedule) read(r io.Reader) []byte {
	if p, is := r.(*penstock.Pipe); is && p == nil {
		return nil
	}
	b, err := io.ReadAll(r)
	if err != nil && !errors.Is(err, errTest) {
		s.t.Errorf("reading what is left: %v", err)
	}
	return b
}

// inRuns tells whether got is the stream, or if there may be gaps runs of it, in order.
func inRuns(got, stream []byte, gaps bool) bool {
	if !gaps {
		return bytes.HasPrefix(stream, got)
	}
	return runs(got, stream, 8) || runs(got, stream, 1) // of random bytes, a run that is short may look like a longer one
}

// runs looks for what follows a gap by so many bytes.
func runs(got, stream []byte, window int) bool {
	for {
		n := 0
		for n < len(got) && n < len(stream) && got[n] == stream[n] {
			n++
		}
		if got, stream = got[n:], stream[n:]; len(got) == 0 {
			return true
		}
		at := -1
		for k := min(window, len(got)); k > 0 && at < 0; k-- { // a run may be short
			at = bytes.Index(stream, got[:k])
		}
		if at < 0 {
			return false
		}
		stream = stream[at:]
	}
}

// options takes some.
func (s *copySchedule) options() {
	add := func(o penstock.Option, format string, args ...any) {
		s.opts = append(s.opts, o)
		s.note(format, args...)
	}
	limit := []int{1, 4 << 10, 8 << 10, 16 << 10, 80 << 10, 1 << 20, 4 << 20, 16 << 20}[s.r.IntN(8)]
	s.pool = penstock.NewPool(limit)
	add(penstock.WithPool(s.pool), "a pool of %d", limit)
	for i := range s.sinks {
		if s.one(3) {
			continue
		}
		q := penstock.Queue{Size: 1 + int64(s.size(22)), Full: penstock.FullQueue(max(0, s.r.IntN(5)-2))}
		if s.one(3) {
			q.Start = s.r.Int64N(q.Size + 1)
		}
		if i > 0 && s.one(3) {
			q.Most = 1 + s.r.Int64N(int64(len(s.data)+1))
		}
		if s.one(3) {
			q.Refill = s.r.Int64N(q.Size + 1)
		}
		s.queues[i] = q
		add(penstock.WithQueue(i, q), "output %d: %+v", i, q)
	}
	if s.one(5) {
		add(penstock.WithoutSplice(), "no splice")
	}
	if s.one(4) {
		n := 4096 << s.r.IntN(9)
		add(penstock.WithPipeSize(n), "pipes of %d", n)
	}
	if s.one(5) {
		s.header = make([]byte, s.size(16))
		rand.NewChaCha8([32]byte{255}).Read(s.header)
		add(penstock.WithHeader(s.header), "a header of %d", len(s.header))
	}
	if s.one(5) {
		n := s.r.Int64N(int64(len(s.data) + 1))
		add(penstock.WithLimit(n), "a limit of %d", n)
	}
	if s.one(8) {
		n := int64(len(s.data)*50 + 1<<20)
		add(penstock.WithRate(n), "%d bytes per second", n)
	}
	if s.one(8) {
		add(penstock.WithIdleTimeout(8*time.Millisecond), "an idle timeout")
	}
	if s.one(8) {
		add(penstock.WithTimeout(time.Duration(1+s.r.IntN(9))*time.Millisecond), "a timeout")
	}
	if s.one(5) {
		add(penstock.WithProgress(time.Millisecond, func(penstock.Report) { s.look() }), "progress")
	}
	if !s.one(3) {
		goesOn := s.fork()
		add(penstock.WithOutputErrors(func(op *penstock.OpError) bool {
			rep, on := s.look(), goesOn.IntN(8) > 0
			if at, _ := outputOf(op); on {
				s.fallen[at] = rep.Consumed
			}
			return on
		}), "goes on")
	}
	if _, can := s.sinks[0].w.(interface{ CloseWrite() error }); can && s.one(3) {
		add(penstock.WithHalfClose(), "half-close")
	}
}
