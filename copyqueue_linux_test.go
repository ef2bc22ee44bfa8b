package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
)

// queuedManners are the manners of a transfer whose outputs have queues: the smallest, one that is smaller than a pipe,
// and one that everything fits into.
func queuedManners(t *testing.T) (all []manner) {
	for _, by := range manners(t) {
		for _, size := range []int64{1, 100_000, 8 << 20} {
			all = append(all, manner{fmt.Sprintf("%s, queues of %d", by.name, size), append(by.opts[:len(by.opts):len(by.opts)],
				penstock.WithQueue(0, penstock.Queue{Size: size}),
				penstock.WithQueue(2, penstock.Queue{Size: size, Start: size / 2, Refill: size / 3}))})
		}
	}
	return all
}

// TestAQueuedOutputGetsEverything, beside one in step, whatever it is.
func TestAQueuedOutputGetsEverything(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 20)
	kinds, turn := termini(), 0
	for _, from := range origins() {
		for _, by := range queuedManners(t) {
			if turn += 3; !exhaustive && turn/3%4 > 0 {
				continue
			}
			t.Run(from.name+", "+by.name, func(t *testing.T) {
				var o outputs
				for i := range 3 {
					o.add(opened(t, kinds[(turn+i)%len(kinds)]))
				}
				rep, err := o.transfer(from.open(t, data), by.opts...).Run(background)
				if err != nil || rep.Consumed != int64(len(data)) || rep.Delivered != rep.Consumed {
					t.Fatal(rep, err)
				}
				accountedEach(t, data, rep, o, nil)
				for i, out := range rep.Outputs {
					if out.Delivered != rep.Consumed || out.Queued+out.Skipped != 0 || out.Failed || out.Path == "" {
						t.Errorf("output %d: %+v", i, out)
					}
				}
			})
		}
	}
}

// TestASingleOutputMayHaveAQueue, and gets what is in it when the source fails.
func TestASingleOutputMayHaveAQueue(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 20)
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			w, got := drained(t, "tcp")
			src := io.MultiReader(bytes.NewReader(data), &failing{errTest})
			rep, err := penstock.Copy(background, w, src, append(by.opts, penstock.WithQueue(0, penstock.Queue{Size: 4 << 20}))...)
			failedAt(t, err, penstock.SideSource, int64(len(data)), errTest)
			if !bytes.Equal(got(), data) || rep.Delivered != int64(len(data)) {
				t.Errorf("%v", rep)
			}
		})
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// TestAFailingOutputTellsWhatWasInItsQueue: all of it is in flight.
func TestAFailingOutputTellsWhatWasInItsQueue(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 40)
	turn := 0
	for _, from := range origins() {
		for _, by := range manners(t) {
			for _, goOn := range []bool{true, false} {
				if turn++; !exhaustive && turn%3 > 0 {
					continue
				}
				t.Run(fmt.Sprint(from.name, by.name, goOn), func(t *testing.T) {
					var o outputs
					o.add(drained(t, "tcp"))
					broken := &stubborn{takes: 150_001}
					o.add(broken, nil)
					src := from.open(t, data)
					opts := append(by.opts, penstock.WithQueue(1, penstock.Queue{Size: 1 << 20, Start: 800_000}),
						penstock.WithOutputErrors(func(*penstock.OpError) bool { return goOn }))
					rep, err := o.transfer(src, opts...).Run(background)
					rest, rerr := io.ReadAll(src)
					if rerr != nil || !bytes.Equal(rest, data[rep.Consumed:]) {
						t.Errorf("%d bytes are left of %d, %v", len(rest), len(data)-int(rep.Consumed), rerr)
					}
					op := failedAt(t, err, penstock.SideSink, 150_001, errTest)
					b := inFlightOf(t, op)
					if !bytes.HasPrefix(data[150_001:], b) || len(b) < 800_000-150_001 {
						t.Errorf("%d in flight, or others", len(b))
					}
					if got := o.got[0](); !bytes.Equal(got, data[:rep.Consumed]) || goOn && rep.Consumed != int64(len(data)) {
						t.Errorf("the other got %d of %d", len(got), rep.Consumed)
					}
				})
			}
		}
	}
}

// TestASlowOutputIsSkippedOrFails where that is its queue's policy, and holds nobody up.
func TestASlowOutputIsSkippedOrFails(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 60)
	turn := 0
	for _, from := range origins() {
		for _, by := range manners(t) {
			for _, full := range []penstock.FullQueue{penstock.QueueSkips, penstock.QueueFails} {
				if turn++; !exhaustive && turn%3 > 0 {
					continue
				}
				t.Run(fmt.Sprint(from.name, by.name, full), func(t *testing.T) {
					var o outputs
					o.add(drained(t, "unix"))
					slow := &gate{opened: make(chan struct{})}
					o.add(slow, nil)
					opts := append(by.opts, penstock.WithQueue(1, penstock.Queue{Size: 1 << 20, Full: full}),
						penstock.WithOutputErrors(func(op *penstock.OpError) bool { return true }),
						penstock.WithProgress(10*time.Millisecond, slow.openOnce(len(data))))
					rep, err := o.transfer(from.open(t, data), opts...).Run(background)
					out := rep.Outputs[1]
					if !bytes.Equal(o.got[0](), data) {
						t.Errorf("the other lacks something: %v", rep)
					}
					if full == penstock.QueueSkips {
						if err != nil || out.Skipped == 0 || out.Delivered+out.Skipped != int64(len(data)) || int64(slow.Len()) != out.Delivered {
							t.Errorf("%v: %+v, took %d", err, out, slow.Len())
						}
						return
					}
					op := failedAt(t, err, penstock.SideSink, out.Delivered, penstock.ErrQueueFull)
					if b := inFlightOf(t, op); !out.Failed || len(b) == 0 || !bytes.HasPrefix(data, append(slow.Bytes(), b...)) {
						t.Errorf("%+v: %d in flight, or others", out, len(b))
					}
				})
			}
		}
	}
}

// gate is a sink that takes nothing before it is opened.
type gate struct {
	bytes.Buffer
	opened chan struct{}
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.opened
	return g.Buffer.Write(b)
}

// openOnce opens the gate when the other output has everything, or this one has failed.
func (g *gate) openOnce(all int) func(penstock.Report) {
	isOpen := false
	return func(r penstock.Report) {
		if !isOpen && (int(r.Delivered) == all || r.Outputs[1].Failed) {
			isOpen = true
			close(g.opened)
		}
	}
}

// TestACancelledQueueLosesNothing: what is in it is in flight.
func TestACancelledQueueLosesNothing(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 40)
	for _, from := range origins() {
		for _, by := range manners(t) {
			t.Run(from.name+", "+by.name, func(t *testing.T) {
				near, far := socket(t, "tcp")
				squeeze(t, near, far)
				var o outputs
				o.add(near, standsStill(t, far, 0, func() { near.Close() }))
				src := from.open(t, data)
				ctx, cancel := context.WithCancelCause(background)
				tr := o.transfer(src, append(by.opts, penstock.WithQueue(0, penstock.Queue{Size: 300_000}))...)
				over := make(chan struct{})
				go func() {
					defer close(over)
					stalled(t, tr, penstock.SideSink)
					cancel(errGone)
				}()
				rep, err := tr.Run(ctx)
				<-over
				if !errors.Is(err, errGone) {
					t.Fatal(err)
				}
				accountedEach(t, data, rep, o, byOutput(t, err))
				rest, rerr := io.ReadAll(src)
				if rerr != nil || !bytes.Equal(rest, data[rep.Consumed:]) {
					t.Errorf("%d bytes are left of %d, %v", len(rest), len(data)-int(rep.Consumed), rerr)
				}
			})
		}
	}
}

// TestAQueueThatIsFullBelowItsStartBegins, also where nobody waits for it to have room: it would skip all the rest.
func TestAQueueThatIsFullBelowItsStartBegins(t *testing.T) {
	for _, full := range []penstock.FullQueue{penstock.QueueWaits, penstock.QueueSkips} {
		synctest.Test(t, func(t *testing.T) {
			r, feed := io.Pipe()
			took := 0
			sink := writing(func(b []byte) (int, error) { took += len(b); return len(b), nil })
			over := make(chan error)
			go func() {
				_, err := penstock.Copy(background, sink, r,
					penstock.WithQueue(0, penstock.Queue{Size: 100, Start: 100, Full: full}))
				over <- err
			}()
			feed.Write(make([]byte, 60))
			synctest.Wait()
			if took != 0 {
				t.Errorf("%v: took %d, of which 100 are to be there first", full, took)
			}
			feed.Write(make([]byte, 60)) // for which there is no room
			synctest.Wait()
			if took < 60 {
				t.Errorf("%v: took %d", full, took)
			}
			feed.Close()
			if err := <-over; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoQueueWaitsForAnotherToEnd: when the source has ended, each goes out whatever its start, and
// whoever else does not.
func TestNoQueueWaitsForAnotherToEnd(t *testing.T) {
	last := make(chan struct{})
	first := writing(func(b []byte) (int, error) { <-last; return len(b), nil })
	second := writing(func(b []byte) (int, error) { close(last); return len(b), nil })
	_, err := penstock.Copy(background, first, bytes.NewReader(pattern(10)), penstock.WithTee(second),
		penstock.WithQueue(0, penstock.Queue{Size: 100}), penstock.WithQueue(1, penstock.Queue{Size: 100, Start: 100}))
	if err != nil {
		t.Error(err)
	}
}

// TestAReportOfQueuesAddsUp at any moment: what an output has taken, what is in its queue and what that has skipped are
// no more than has left the source, and the totals are those of the outputs.
func TestAReportOfQueuesAddsUp(t *testing.T) {
	src := iotest.OneByteReader(bytes.NewReader(pattern(50_000)))
	tr := penstock.NewTransfer(io.Discard, src, penstock.WithTee(io.Discard),
		penstock.WithQueue(0, penstock.Queue{Size: 100}),
		penstock.WithQueue(1, penstock.Queue{Size: 10, Full: penstock.QueueSkips}))
	over := make(chan struct{})
	go func() { defer close(over); tr.Run(background) }()
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
		}
		rep := tr.Report()
		for i, out := range rep.Outputs {
			took := append([]int64{rep.Delivered}, rep.Tees...)[i]
			if out.Delivered != took || took+out.Queued+out.Skipped > rep.Consumed {
				t.Fatalf("output %d, %+v, of %d: %d, %d", i, out, rep.Consumed, rep.Delivered, rep.Tees)
			}
		}
	}
}

// TestAPanicOfAQueuedOutputIsTheTransfers, as that of one in step is, and so is any other where there are queues: what
// is in them goes back to the pool.
func TestAPanicOfAQueuedOutputIsTheTransfers(t *testing.T) {
	for name, queued := range map[string][]int{"its queue": {1}, "another's": {0}, "all": {0, 1, 2}} {
		t.Run(name, func(t *testing.T) {
			pool := penstock.NewPool(0)
			defer pool.Close()
			took := 0
			bomb := writing(func(b []byte) (int, error) {
				if took += len(b); took > 150_000 { // by then there are pipes
					panic(errTest)
				}
				return len(b), nil
			})
			var o outputs
			o.add(drained(t, "tcp"))
			o.add(bomb, nil)
			near, far := socket(t, "tcp")
			squeeze(t, near, far)
			got := drink(t, far)
			o.add(near, func() []byte { near.Close(); return got() })
			opts := []penstock.Option{penstock.WithPool(pool)}
			for _, i := range queued {
				opts = append(opts, penstock.WithQueue(i, penstock.Queue{Size: 4 << 20, Start: 200_000}))
			}
			func() {
				defer func() {
					if v := recover(); v != error(errTest) {
						t.Errorf("recovered %v", v)
					}
				}()
				rep, err := o.transfer(tcpSource(t, bytes.Repeat(pattern(64<<10), 20)), opts...).Run(background)
				t.Errorf("no panic: %v, %v", rep, err)
			}()
			o.got[0]()
			o.got[2]()
			for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() { // a Write may have to return first
				s := pool.Stats()
				if s.Held == s.Idle {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the pool has lent %d bytes", s.Held-s.Idle)
				}
			}
		})
	}
}

// TestAWriteThatEndsTheQueuesGoroutineFailsItsOutput, as t.Fatal does, and leaves nobody waiting.
func TestAWriteThatEndsTheQueuesGoroutineFailsItsOutput(t *testing.T) {
	quits := writing(func([]byte) (int, error) { runtime.Goexit(); return 0, nil })
	var got bytes.Buffer
	_, err := penstock.Copy(background, quits, bytes.NewReader(pattern(10_000)), penstock.WithTee(&got),
		penstock.WithQueue(0, penstock.Queue{Size: 1}),
		penstock.WithOutputErrors(func(*penstock.OpError) bool { return true }))
	if side, is := penstock.SideOf(err); !is || side != penstock.SideSink || got.Len() != 10_000 {
		t.Errorf("%v, and the other got %d", err, got.Len())
	}
}

// TestCopyBothHasQueuesBothWays for the connections, and for further sinks in the direction that has those.
func TestCopyBothHasQueuesBothWays(t *testing.T) {
	a, client := socket(t, "tcp")
	b, server := socket(t, "unix")
	var tee bytes.Buffer
	over := make(chan error)
	var forward, backward penstock.Report
	go func() {
		var err error
		forward, backward, err = penstock.CopyBoth(background, a, b, penstock.WithTee(&tee),
			penstock.WithQueue(0, penstock.Queue{Size: 10_000}), penstock.WithQueue(1, penstock.Queue{Size: 1000}))
		over <- err
	}()
	feed(t, halfCloser{client}, pattern(300_000))
	feed(t, halfCloser{server}, pattern(200_000))
	there, back := drink(t, server), drink(t, client)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if want := pattern(300_000); !bytes.Equal(there(), want) || !bytes.Equal(tee.Bytes(), want) {
		t.Errorf("something is missing: %v", forward)
	}
	if !bytes.Equal(back(), pattern(200_000)) {
		t.Errorf("something is missing: %v", backward)
	}
	if len(forward.Outputs) != 2 || len(backward.Outputs) != 1 {
		t.Errorf("%+v, %+v", forward.Outputs, backward.Outputs)
	}
}
