package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// byAnyWay adds up what went by each way.
func byAnyWay(r penstock.Report) (sum int64) {
	for _, p := range []penstock.Path{
		penstock.PathReadWrite, penstock.PathSplice, penstock.PathTeeSplice, penstock.PathSendfile,
		penstock.PathCopyFileRange, penstock.PathPages,
	} {
		sum += r.By(p)
	}
	return sum
}

func same(a, b penstock.Report) bool { return reflect.DeepEqual(a, b) }

// consistent looks at a report that may be of a transfer in progress.
func consistent(t *testing.T, r penstock.Report, last *penstock.Report) {
	t.Helper()
	by, tees := byAnyWay(r), int64(0)
	for _, n := range r.Tees {
		tees = max(tees, n)
	}
	if r.Delivered > r.Consumed || tees > r.Consumed || by > r.Consumed {
		t.Errorf("delivered %d, %d by all ways, %v to the tees, of %d", r.Delivered, by, r.Tees, r.Consumed)
	}
	if r.Consumed < last.Consumed || r.Delivered < last.Delivered || r.Calls < last.Calls {
		t.Errorf("it goes back: %+v after %+v", r, *last)
	}
	if r.Since > r.Elapsed || r.SourceStalled+r.SinkStalled+r.Limited > r.Elapsed {
		t.Errorf("it has waited longer than it has run: %+v", r)
	}
	*last = r
}

// TestAReportIsConsistentWhileTheTransferRuns, whoever looks, and while nothing has begun.
func TestAReportIsConsistentWhileTheTransferRuns(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 100)
	for name, opts := range map[string][]penstock.Option{
		"as it comes": nil,
		"limited":     {penstock.WithRate(100 << 20)},
		"copied":      {penstock.WithoutSplice()},
		"teed":        {penstock.WithTee(io.Discard, new(bytes.Buffer))},
		"headed":      {penstock.WithHeader(pattern(5000))},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := socket(t, "tcp")
			sent := make(chan struct{})
			go func() { defer close(sent); far.Write(data); far.Close() }()
			dst, got := drained(t, "tcp")
			tr := penstock.NewTransfer(dst, near, opts...)
			if r := tr.Report(); r.Consumed != 0 || r.Elapsed != 0 || r.Path != "" || r.Waiting != penstock.SidePipe {
				t.Errorf("before: %+v", r)
			}
			over := make(chan struct{})
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					var last penstock.Report
					for {
						select {
						case <-over:
							return
						default:
							consistent(t, tr.Report(), &last)
						}
					}
				})
			}
			rep, err := tr.Run(background)
			close(over)
			wg.Wait()
			<-sent
			if err != nil || rep.Delivered != rep.Consumed || int64(len(got())) != rep.Delivered {
				t.Errorf("%+v, %v", rep, err)
			}
			if after := tr.Report(); byAnyWay(rep) != rep.Delivered || !same(after, rep) {
				t.Errorf("%+v, and then %+v", rep, after)
			}
		})
	}
}

// TestProgressIsToldWhileATransferWaits, one call at a time, and once at the end with what Run returns.
func TestProgressIsToldWhileATransferWaits(t *testing.T) {
	near, far := socket(t, "tcp")
	ctx, cancel := context.WithCancelCause(background)
	var inside, calls atomic.Int32
	var last penstock.Report
	waited := false
	look := func(r penstock.Report) {
		if inside.Add(1) > 1 {
			t.Error("two calls at a time")
		}
		defer inside.Add(-1)
		consistent(t, r, &last)
		switch waited = waited || r.Waiting == penstock.SideSource && r.Consumed == 5; {
		case calls.Add(1) == 1:
			far.Write([]byte("hello"))
		case waited:
			cancel(errGone)
		}
	}
	rep, err := penstock.Copy(ctx, new(bytes.Buffer), near, penstock.WithProgress(time.Millisecond, look))
	if !errors.Is(err, errGone) || !waited || rep.Consumed != 5 {
		t.Errorf("%+v, %v", rep, err)
	}
	if !same(last, rep) {
		t.Errorf("the last call had %+v, and not %+v", last, rep)
	}
	if n := calls.Load(); n < 2 {
		t.Errorf("%d calls", n)
	}
}

// TestNoProgressIsToldWhenATransferHasReturned, whenever that is.
func TestNoProgressIsToldWhenATransferHasReturned(t *testing.T) {
	for range 200 {
		var over atomic.Bool
		look := penstock.WithProgress(1, func(penstock.Report) {
			if over.Load() {
				t.Error("a late call")
			}
		})
		_, err := penstock.Copy(background, io.Discard, strings.NewReader("x"), look)
		over.Store(true)
		if err != nil {
			t.Error(err)
		}
	}
}

// TestALimitLeavesTheRestInTheSource, to the byte, with every option that could take more.
func TestALimitLeavesTheRestInTheSource(t *testing.T) {
	data := pattern(100_000)
	for _, limit := range []int64{0, 1, 4096, 32<<10 - 1, 32 << 10, 65_537, 99_999, 100_000, 100_001} {
		want := data[:min(limit, int64(len(data)))]
		for name, opts := range map[string][]penstock.Option{
			"as it comes": nil,
			"headed":      {penstock.WithHeader([]byte("head"))},
			"limited":     {penstock.WithRate(100 << 20)},
			"teed":        {penstock.WithTee(io.Discard)},
		} {
			t.Run(fmt.Sprintf("%d, %s", limit, name), func(t *testing.T) {
				src := bytes.NewReader(data)
				var got bytes.Buffer
				rep, err := penstock.Copy(background, &got, src, append(opts, penstock.WithLimit(limit))...)
				b := got.Bytes()
				if name == "headed" {
					b = bytes.TrimPrefix(b, []byte("head"))
				}
				if err != nil || !bytes.Equal(b, want) || rep.Delivered != int64(got.Len()) {
					t.Errorf("%d bytes, %+v, %v", len(b), rep, err)
				}
				if rest := src.Len(); rest != len(data)-len(want) {
					t.Errorf("%d bytes are left of %d", rest, len(data)-len(want))
				}
			})
		}
	}
}

// TestARateLimitThatIsEndedLosesNothing: while it holds a transfer up, and wherever its bytes are.
func TestARateLimitThatIsEndedLosesNothing(t *testing.T) {
	data := pattern(100_000)
	for name, opts := range map[string][]penstock.Option{
		"cancelled":   nil,
		"headed":      {penstock.WithHeader(pattern(30_000))},
		"out of time": {penstock.WithTimeout(30 * time.Millisecond), penstock.WithRate(1)},
	} {
		t.Run(name, func(t *testing.T) {
			src := bytes.NewReader(data)
			var got bytes.Buffer
			ctx, cancel := context.WithCancelCause(background)
			defer cancel(nil)
			tr := penstock.NewTransfer(&got, src, append([]penstock.Option{penstock.WithRate(100_000)}, opts...)...)
			if name != "out of time" {
				go func() {
					for tr.Report().Limited == 0 {
						time.Sleep(time.Millisecond)
					}
					cancel(errGone)
				}()
			}
			rep, err := tr.Run(ctx)
			want := data
			if name == "headed" {
				want = append(pattern(30_000), data...)
			}
			op := failedAt(t, err, penstock.SidePipe, rep.Delivered, errGone, os.ErrDeadlineExceeded)
			accounted(t, want, rep, op)
			if !bytes.Equal(got.Bytes(), want[:rep.Delivered]) || rep.Limited == 0 {
				t.Errorf("%d bytes, %+v", got.Len(), rep)
			}
			completes(t, want[rep.Delivered:], src, err)
		})
	}
}

// TestALiftedRateLimitLetsItGo at once.
func TestALiftedRateLimitLetsItGo(t *testing.T) {
	data := pattern(1 << 20)
	var got bytes.Buffer
	tr := penstock.NewTransfer(&got, bytes.NewReader(data), penstock.WithRate(1))
	go func() {
		for tr.Report().Limited == 0 {
			time.Sleep(time.Millisecond)
		}
		tr.SetRate(0)
	}()
	rep, err := tr.Run(background)
	if err != nil || !bytes.Equal(got.Bytes(), data) {
		t.Errorf("%d bytes, %+v, %v", got.Len(), rep, err)
	}
}

// TestOptionsThatMakeNoSenseMoveNothing.
func TestOptionsThatMakeNoSenseMoveNothing(t *testing.T) {
	for name, opt := range map[string]penstock.Option{
		"limit": penstock.WithLimit(-1), "rate": penstock.WithRate(-1), "idle": penstock.WithIdleTimeout(0),
		"timeout": penstock.WithTimeout(-1), "progress": penstock.WithProgress(0, nil), "pipe": penstock.WithPipeSize(5000),
		"tee": penstock.WithTee(nil), "half-close": penstock.WithHalfClose(),
	} {
		src := strings.NewReader("data")
		rep, err := penstock.Copy(background, new(bytes.Buffer), src, opt)
		if err == nil || rep.Consumed != 0 || src.Len() != 4 {
			t.Errorf("%s: %+v, %v", name, rep, err)
		}
	}
}

// TestATransferRunsOnce.
func TestATransferRunsOnce(t *testing.T) {
	src := strings.NewReader("data")
	tr := penstock.NewTransfer(io.Discard, src)
	if _, err := tr.Run(background); err != nil {
		t.Fatal(err)
	}
	src.Reset("more")
	if _, err := tr.Run(background); err == nil || src.Len() != 4 {
		t.Errorf("%v, %d left", err, src.Len())
	}
}

// TestACopyThatIsOverBeforeItBeginsMovesNothing: the context is done already.
func TestACopyThatIsOverBeforeItBeginsMovesNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(background)
	cancel(errGone)
	src := strings.NewReader("data")
	rep, err := penstock.Copy(ctx, new(bytes.Buffer), src)
	if op := failedAt(t, err, penstock.SidePipe, 0, errGone); op.InFlight != nil || rep.Consumed != 0 || src.Len() != 4 {
		t.Errorf("%+v, %v", rep, err)
	}
}
