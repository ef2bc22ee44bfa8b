package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
)

// outputs of a transfer, the first of which is the destination.
type outputs struct {
	ws  []io.Writer
	got []func() []byte
}

func (o *outputs) add(w io.Writer, got func() []byte) {
	o.ws, o.got = append(o.ws, w), append(o.got, got)
}

func (o *outputs) transfer(src io.Reader, opts ...penstock.Option) *penstock.Transfer {
	return penstock.NewTransfer(o.ws[0], src, append([]penstock.Option{penstock.WithTee(o.ws[1:]...)}, opts...)...)
}

// byOutput takes a transfer's error apart: one error for each output that has failed.
func byOutput(t *testing.T, err error) map[int]*penstock.OpError {
	t.Helper()
	failed := make(map[int]*penstock.OpError)
	parts := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts = joined.Unwrap()
	}
	for _, part := range parts {
		op, ok := part.(*penstock.OpError)
		if !ok {
			t.Fatalf("a part of the error is %v", part)
		}
		index := 0
		if named := (*penstock.OutputError)(nil); errors.As(part, &named) {
			index = named.Output
		}
		if failed[index] != nil || op.Side != penstock.SideSink {
			t.Errorf("output %d: %v, and %v of the %v", index, failed[index], op, op.Side)
		}
		failed[index] = op
	}
	return failed
}

// accountedEach looks at every output: those that have not failed have all that has left the source, and what is in
// flight to one that has completes it.
func accountedEach(t *testing.T, data []byte, rep penstock.Report, o outputs, failed map[int]*penstock.OpError) {
	t.Helper()
	for i := range o.ws {
		delivered := rep.Delivered
		if i > 0 {
			delivered = rep.Tees[i-1]
		}
		op := failed[i]
		delete(failed, i)
		if op == nil && delivered != rep.Consumed {
			t.Errorf("output %d has had %d of %d", i, delivered, rep.Consumed)
		}
		if op != nil {
			if op.Offset != delivered {
				t.Errorf("output %d failed at %d, and has had %d", i, op.Offset, delivered)
			}
			if b := inFlightOf(t, op); !bytes.Equal(b, data[delivered:rep.Consumed]) {
				t.Errorf("output %d: %d of %d delivered, %d in flight, or others", i, delivered, rep.Consumed, len(b))
			}
		}
		if o.got[i] == nil {
			continue
		}
		if b := o.got[i](); int64(len(b)) > delivered || op == nil && int64(len(b)) < delivered || !bytes.HasPrefix(data, b) {
			t.Errorf("output %d got %d bytes of %d, or others", i, len(b), delivered)
		}
	}
	for i, op := range failed {
		t.Errorf("there is no output %d: %v", i, op)
	}
}

// TestAFailingOutputCutsNoOtherShort fails each of the outputs of a transfer at several offsets, the others being of
// every kind: on a failure they have what left the source, and nothing more has.
func TestAFailingOutputCutsNoOtherShort(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 10)
	turn := 0
	kinds := termini()
	for _, from := range origins() {
		for _, outs := range []int{2, 4} {
			for _, to := range breakings() {
				turn++
				if to.name[:4] == "FIFO" && !to.exact || !exhaustive && (turn+turn/9)%3 > 0 {
					continue
				}
				after := []int{0, 1, 4097, 65_536, 200_001}[turn%5]
				by := manners(t)[turn/2%4]
				fails := turn / 3 % outs
				name := fmt.Sprintf("%s to %d, %s is %d, at %d, %s", from.name, outs, to.name, fails, after, by.name)
				t.Run(name, func(t *testing.T) {
					src := from.open(t, data)
					var o outputs
					var broken breach
					for i := range outs {
						if i == fails {
							broken = to.open(t, after)
							o.add(broken.w, nil)
							continue
						}
						o.add(opened(t, kinds[(turn+i)%len(kinds)]))
					}
					tr := o.transfer(src, by.opts...)
					if broken.late != nil {
						over := make(chan struct{})
						go func() { defer close(over); broken.late(tr) }()
						defer func() { <-over }()
					}
					rep, err := tr.Run(background)
					failed := byOutput(t, err)
					if op := failed[fails]; len(failed) != 1 || op == nil {
						t.Fatalf("%d outputs have failed: %v", len(failed), err)
					}
					failedAt(t, err, penstock.SideSink, failed[fails].Offset, to.cause...)
					accountedEach(t, data, rep, o, failed)
					rest, err := io.ReadAll(src)
					if err != nil || !bytes.Equal(rest, data[rep.Consumed:]) {
						t.Errorf("%d bytes are left of %d, %v", len(rest), len(data)-int(rep.Consumed), err)
					}
					broken.got()
				})
			}
		}
	}
}

// TestTwoFailingOutputsAreBothTold, each with what it lacks, by copies and by tee(2).
func TestTwoFailingOutputsAreBothTold(t *testing.T) {
	data := pattern(300_000)
	full := func(t *testing.T) io.Writer { return tempDevice(t, "/dev/full") }
	stubborn := func(t *testing.T) io.Writer { return &stubborn{takes: 5} }
	gone := func(t *testing.T) io.Writer {
		r, w := fifo(t)
		r.Close()
		return w
	}
	for _, from := range origins() {
		for _, by := range manners(t) {
			t.Run(from.name+", "+by.name, func(t *testing.T) {
				src := from.open(t, data)
				var o outputs
				o.add(drained(t, "tcp"))
				o.add(full(t), nil)
				o.add(stubborn(t), nil)
				o.add(gone(t), nil)
				o.add(written(t, os.O_WRONLY))
				rep, err := o.transfer(src, by.opts...).Run(background)
				failed := byOutput(t, err)
				for i, cause := range map[int]error{1: syscall.ENOSPC, 2: errTest, 3: syscall.EPIPE} {
					if !errors.Is(failed[i], cause) {
						t.Errorf("output %d: %v", i, failed[i])
					}
				}
				if n := rep.Tees[1]; n != 5 {
					t.Errorf("output 2 has had %d", n)
				}
				accountedEach(t, data, rep, o, failed)
				rest, err := io.ReadAll(src)
				if err != nil || !bytes.Equal(rest, data[rep.Consumed:]) {
					t.Errorf("%d bytes are left of %d, %v", len(rest), len(data)-int(rep.Consumed), err)
				}
			})
		}
	}
}

func tempDevice(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestACancelledTeeLeavesEachOutputWhatItLacks, whichever it is that stalls.
func TestACancelledTeeLeavesEachOutputWhatItLacks(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	for _, from := range origins() {
		for stuck := range 3 {
			by := manners(t)[stuck]
			t.Run(fmt.Sprintf("%s, %d stalls, %s", from.name, stuck, by.name), func(t *testing.T) {
				src := from.open(t, data)
				var o outputs
				for i, network := range []string{"tcp", "unix", "tcp"} {
					if i == stuck {
						near, far := socket(t, network)
						if network == "tcp" {
							squeeze(t, near, far)
						}
						o.add(near, standsStill(t, far, 0, func() { near.Close() }))
						continue
					}
					o.add(drained(t, network))
				}
				ctx, cancel := context.WithCancelCause(background)
				tr := o.transfer(src, by.opts...)
				over := make(chan struct{})
				go func() {
					defer close(over)
					stalled(t, tr, penstock.SideSink)
					cancel(errGone)
				}()
				rep, err := tr.Run(ctx)
				<-over
				failed := byOutput(t, err)
				if op := failed[stuck]; op == nil && !errors.Is(err, errGone) || op != nil && !errors.Is(op, errGone) {
					t.Errorf("output %d: %v", stuck, err)
				}
				accountedEach(t, data, rep, o, failed)
				rest, err := io.ReadAll(src)
				if err != nil || !bytes.Equal(rest, data[rep.Consumed:]) {
					t.Errorf("%d bytes are left of %d, %v", len(rest), len(data)-int(rep.Consumed), err)
				}
			})
		}
	}
}

// TestResumeTakesNoFurtherSinks, for which of them lacks what was in flight it cannot know. It leaves all where it was:
// whoever gives that to the new destination can go on with the others.
func TestResumeTakesNoFurtherSinks(t *testing.T) {
	data := pattern(300_000)
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			src := tcpSource(t, data)
			var second, tee bytes.Buffer
			first := &stubborn{takes: 100_001}
			opts := append([]penstock.Option{penstock.WithTee(&tee)}, by.opts...)
			rep, err := penstock.Copy(background, first, src, opts...)
			op := failedAt(t, err, penstock.SideSink, 100_001, errTest)
			if _, err := penstock.Resume(background, &second, src, err, opts...); !errors.Is(err, syscall.EINVAL) {
				t.Fatal(err)
			}
			accounted(t, data, rep, op)
			if _, err := op.InFlight.WriteTo(&second); err != nil {
				t.Error(err)
			}
			if _, err := penstock.Copy(background, &second, src, opts...); err != nil {
				t.Error(err)
			}
			if all := append(first.Bytes(), second.Bytes()...); !bytes.Equal(all, data) {
				t.Errorf("the first and the second sink got %d bytes of %d, or others", len(all), len(data))
			}
			if !bytes.Equal(tee.Bytes(), data) {
				t.Errorf("the further sink got %d bytes of %d, or others", tee.Len(), len(data))
			}
		})
	}
}

// TestAHeaderIsDeliveredWholeToTheOutputsThatDoNotFail, also where a rate limit has cut it in pieces.
func TestAHeaderIsDeliveredWholeToTheOutputsThatDoNotFail(t *testing.T) {
	header := pattern(3000)
	for name, opts := range map[string][]penstock.Option{"at once": nil, "in pieces": {penstock.WithRate(20_000)}} {
		t.Run(name, func(t *testing.T) {
			var o outputs
			var first bytes.Buffer
			o.add(&first, first.Bytes)
			o.add(&stubborn{takes: 100}, nil)
			rep, err := o.transfer(strings.NewReader("body"), append(opts, penstock.WithHeader(header))...).Run(background)
			failed := byOutput(t, err)
			if !errors.Is(failed[1], errTest) || rep.Consumed != int64(len(header)) {
				t.Errorf("%+v, %v", rep, err)
			}
			accountedEach(t, header, rep, o, failed)
		})
	}
}
