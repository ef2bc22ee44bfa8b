package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// TestAQueueDoesNotHoldUpTheEnd of the destination, which is told it although another output has still to get something.
func TestAQueueDoesNotHoldUpTheEnd(t *testing.T) {
	data := pattern(300_000)
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			near, far := socket(t, "tcp")
			slow := &gate{opened: make(chan struct{})}
			ended := make(chan []byte, 1)
			go func() {
				b, err := io.ReadAll(far)
				if err != nil {
					t.Error(err)
				}
				ended <- b
				close(slow.opened)
			}()
			rep, err := penstock.Copy(background, near, tcpSource(t, data), append(by.opts, penstock.WithTee(slow),
				penstock.WithHalfClose(), penstock.WithQueue(1, penstock.Queue{Size: 1 << 20}))...)
			if err != nil || rep.Tees[0] != int64(len(data)) || !bytes.Equal(slow.Bytes(), data) {
				t.Errorf("%v, %v", rep, err)
			}
			if !bytes.Equal(<-ended, data) {
				t.Error("the destination got others")
			}
		})
	}
}

// TestATransferIsNotTakenForCompleteThatWasCancelled while an output failed that it would have gone on without: then
// only that output's error would be told, as if the others had everything.
func TestATransferIsNotTakenForCompleteThatWasCancelled(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 4)
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	var got bytes.Buffer
	rep, err := penstock.Copy(ctx, &got, bytes.NewReader(data), penstock.WithTee(&leaver{cancel, make(chan struct{})}),
		penstock.WithOutputErrors(func(*penstock.OpError) bool { return true }))
	if rep.Consumed == int64(len(data)) || got.Len() != int(rep.Consumed) {
		t.Errorf("%d of %d", got.Len(), len(data))
	}
	if !errors.Is(err, errTest) || !errors.Is(err, errGone) {
		t.Errorf("%v", err)
	}
}

// leaver is a sink in whose first Write the caller cancels the transfer. It fails when that has been interrupted.
type leaver struct {
	cancel      context.CancelCauseFunc
	interrupted chan struct{}
}

func (l *leaver) Write([]byte) (int, error) {
	l.cancel(errGone)
	<-l.interrupted
	return 0, errTest
}

func (l *leaver) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		close(l.interrupted)
	}
	return nil
}

// TestAQueueWhoseSinkRefusesSpliceSaysSo.
func TestAQueueWhoseSinkRefusesSpliceSaysSo(t *testing.T) {
	f, got := written(t, os.O_WRONLY|os.O_APPEND)
	data := bytes.Repeat(pattern(64<<10), 20)
	rep, err := penstock.Copy(background, f, tcpSource(t, data), penstock.WithQueue(0, penstock.Queue{Size: 1 << 20}))
	if err != nil || !bytes.Equal(got(), data) {
		t.Fatal(err)
	}
	if why := rep.Outputs[0].Why; !strings.HasPrefix(why, "its queue to file") {
		t.Errorf("%q", why)
	}
}

// TestWhatIsInFlightBehindAQueueIsResumed: it is in the error of the one output, behind what is in its queue, and where
// there are several outputs in an error of its own, which Resume finds.
func TestWhatIsInFlightBehindAQueueIsResumed(t *testing.T) {
	data := pattern(100_000)
	for _, outputs := range []int{1, 2} {
		for name, header := range map[string][]byte{"a header": data[:50_000], "a Read that was left behind": nil} {
			t.Run(fmt.Sprint(name, outputs), func(t *testing.T) {
				asked, answer, ask := make(chan struct{}), make(chan struct{}), sync.Once{}
				rest := bytes.NewReader(data[len(header):])
				src := reading(func(b []byte) (int, error) {
					if rest.Len() == 50_000 && header == nil {
						ask.Do(func() { close(asked) })
						<-answer
					}
					return rest.Read(b[:min(len(b), 10_000)])
				})
				ctx, cancel := context.WithCancelCause(background)
				defer cancel(nil)
				first := &leaver{func(error) {}, make(chan struct{})}
				opts := []penstock.Option{penstock.WithQueue(0, penstock.Queue{Size: 1 << 20})}
				if outputs > 1 {
					opts = append(opts, penstock.WithTee(io.Discard))
				}
				if header != nil { // of which a tenth of a second's worth goes at once
					opts = append(opts, penstock.WithHeader(header), penstock.WithRate(100_000))
				}
				tr := penstock.NewTransfer(first, src, opts...)
				go func() {
					if header == nil {
						<-asked
					} else {
						stalled(t, tr, penstock.SidePipe)
					}
					cancel(errGone)
				}()
				rep, err := tr.Run(ctx)
				close(answer)
				if !errors.Is(err, errGone) || rep.Delivered != 0 {
					t.Fatal(rep, err)
				}
				if first := penstock.Failures(err)[0]; outputs == 1 {
					for header == nil && first.InFlight.Len() < 60_000 { // what is before it leaves room for what the Read brings
						runtime.Gosched()
					}
					b, rerr := io.ReadAll(first.InFlight)
					if rerr != nil || !bytes.HasPrefix(data, b) || len(b) < 50_000 || header == nil && len(b) != 60_000 {
						t.Errorf("%d in flight, or others: %v", len(b), rerr)
					}
					first.InFlight = penstock.NewPipe(0)
					_, _ = first.InFlight.Write(b)
					first.InFlight.CloseWrite()
				}
				var second bytes.Buffer
				if _, err := penstock.Resume(background, &second, src, err); err != nil || !bytes.Equal(second.Bytes(), data) {
					t.Errorf("resumed %d bytes of %d, or others: %v", second.Len(), len(data), err)
				}
			})
		}
	}
}

// TestAnOutputThatHasEverythingDoesNotFailWhenTheTransferIsCancelled, as one in step does not: its queue is empty.
func TestAnOutputThatHasEverythingDoesNotFailWhenTheTransferIsCancelled(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go w.Write(pattern(100))
	var first, second bytes.Buffer
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	tr := penstock.NewTransfer(&first, r, penstock.WithTee(&second),
		penstock.WithQueue(0, penstock.Queue{Size: 1000}), penstock.WithQueue(1, penstock.Queue{Size: 1000}),
		penstock.WithOutputErrors(func(op *penstock.OpError) bool {
			t.Errorf("told of %v", op)
			return true
		}))
	go func() {
		for rep := tr.Report(); rep.Delivered < 100 || rep.Tees[0] < 100; rep = tr.Report() {
			runtime.Gosched()
		}
		cancel(errGone)
	}()
	rep, err := tr.Run(ctx)
	if op, is := err.(*penstock.OpError); !is || !errors.Is(err, errGone) || op.Side == penstock.SideSink {
		t.Errorf("%v", err)
	}
	for i, out := range rep.Outputs {
		if out.Failed || out.Delivered != 100 {
			t.Errorf("output %d: %+v", i, out)
		}
	}
}

// TestATransferEndsWhenTheOutputsThatAreLeftHaveHadTheirMost, when it has gone on without all others.
func TestATransferEndsWhenTheOutputsThatAreLeftHaveHadTheirMost(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 80)
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			w, got := drained(t, "tcp")
			src := tcpSource(t, data)
			rep, err := penstock.Copy(background, &stubborn{takes: 10}, src, append(by.opts, penstock.WithTee(w),
				penstock.WithQueue(1, penstock.Queue{Size: 1 << 20, Most: 2_000_000}),
				penstock.WithOutputErrors(func(*penstock.OpError) bool { return true }))...)
			if ops := penstock.Failures(err); len(ops) != 1 || !errors.Is(err, errTest) || !bytes.Equal(got(), data[:2_000_000]) {
				t.Errorf("%v, %v", rep.Tees, err)
			}
			rest, rerr := io.ReadAll(src)
			if rep.Consumed == int64(len(data)) || rerr != nil || !bytes.Equal(rest, data[rep.Consumed:]) {
				t.Errorf("%d bytes are left of %d, %v", len(rest), len(data)-int(rep.Consumed), rerr)
			}
		})
	}
}

// TestWhatIsInFlightToAnOutputIsNotBeyondItsMost, by whatever way it would have come.
func TestWhatIsInFlightToAnOutputIsNotBeyondItsMost(t *testing.T) {
	const most = 600_001
	data := bytes.Repeat(pattern(64<<10), 80)
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			w, got := drained(t, "tcp")
			slow := &gate{opened: make(chan struct{})}
			_, err := penstock.Copy(background, w, tcpSource(t, data), append(by.opts, penstock.WithTee(slow),
				penstock.WithQueue(1, penstock.Queue{Size: 500_000, Most: most, Full: penstock.QueueFails}),
				penstock.WithOutputErrors(func(op *penstock.OpError) bool { return true }),
				penstock.WithProgress(time.Millisecond, slow.openOnce(len(data))))...)
			op := failedAt(t, err, penstock.SideSink, int64(slow.Len()), penstock.ErrQueueFull)
			if b := append(slow.Bytes(), inFlightOf(t, op)...); len(b) > most || !bytes.HasPrefix(data, b) {
				t.Errorf("%d of %d, or others", len(b), most)
			}
			if !bytes.Equal(got(), data) {
				t.Error("the destination lacks something")
			}
		})
	}
}

// TestElapsedTimeDoesNotGoBack as a transfer ends while somebody looks.
func TestElapsedTimeDoesNotGoBack(t *testing.T) {
	for range 3000 {
		tr := penstock.NewTransfer(io.Discard, strings.NewReader("x"))
		var lookers sync.WaitGroup
		for range 2 {
			lookers.Go(func() {
				for last, ended := time.Duration(0), 0; ended < 3; {
					rep := tr.Report()
					if rep.Elapsed < last {
						t.Errorf("%v, and then %v", last, rep.Elapsed)
						return
					}
					if rep.Elapsed == last && last > 0 {
						ended++
					}
					last = rep.Elapsed
				}
			})
		}
		if _, err := tr.Run(background); err != nil {
			t.Fatal(err)
		}
		lookers.Wait()
	}
}
