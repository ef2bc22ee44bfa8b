package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// TestTrapOptionsKeepTheFastPath: timeouts, limits, counters and cancellation do not stand between the descriptors.
func TestTrapOptionsKeepTheFastPath(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 64)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	none := func(src io.Reader) io.Reader { return src }
	for name, with := range map[string]struct {
		wrap func(io.Reader) io.Reader
		opts []penstock.Option
	}{
		"none":         {none, nil},
		"idle timeout": {none, []penstock.Option{penstock.WithIdleTimeout(time.Minute)}},
		"timeout":      {none, []penstock.Option{penstock.WithTimeout(time.Minute)}},
		"rate":         {none, []penstock.Option{penstock.WithRate(1 << 40)}},
		"limit":        {none, []penstock.Option{penstock.WithLimit(int64(len(data)))}},
		"progress":     {none, []penstock.Option{penstock.WithProgress(time.Millisecond, func(penstock.Report) {})}},
		"half-close":   {none, []penstock.Option{penstock.WithHalfClose()}},
		"header":       {none, []penstock.Option{penstock.WithHeader([]byte("head"))}},
		"stable":       {none, []penstock.Option{penstock.WithStable()}},
		"tee":          {none, []penstock.Option{penstock.WithTee(tempDevice(t, "/dev/null"))}},
		"limit reader": {func(src io.Reader) io.Reader { return io.LimitReader(src, 1<<40) }, nil},
		"bufio":        {func(src io.Reader) io.Reader { return aheadOf(t, src) }, nil},
		"bare": {func(src io.Reader) io.Reader {
			return penstock.Bare(&countingConn{Conn: &countingConn{Conn: src.(net.Conn)}})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := data
			if name == "header" {
				want = append([]byte("head"), data...)
			}
			dst, got := drained(t, "tcp")
			rep, err := penstock.Copy(ctx, dst, with.wrap(tcpSource(t, data)), with.opts...)
			if b := got(); err != nil || !bytes.Equal(b, want) {
				t.Fatalf("%d bytes of %d, or others: %v", len(b), len(want), err)
			}
			path := penstock.PathSplice
			if name == "tee" {
				path = penstock.PathTeeSplice
			}
			if n := rep.By(path); n < int64(len(data))/2 || rep.Path != path {
				t.Errorf("%d bytes of %d by %s: %v", n, len(data), path, rep)
			}
		})
	}
}

// TestTrapFilesGoWithoutAPipe by the system call for them, whatever the options that do not forbid it.
func TestTrapFilesGoWithoutAPipe(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 64)
	opts := []penstock.Option{
		penstock.WithIdleTimeout(time.Minute), penstock.WithTimeout(time.Minute), penstock.WithRate(1 << 40),
		penstock.WithLimit(int64(len(data))), penstock.WithProgress(time.Millisecond, func(penstock.Report) {}),
	}
	for i, path := range []penstock.Path{penstock.PathSendfile, penstock.PathSendfile, penstock.PathCopyFileRange} {
		to := termini()[i]
		for _, from := range origins()[2:4] {
			dst, got := opened(t, to)
			rep, err := penstock.Copy(background, dst, from.open(t, data), opts...)
			if b := got(); err != nil || !bytes.Equal(b, data) || rep.By(path) != int64(len(data)) {
				t.Errorf("%s to %s: %d bytes, %d by %s: %v, %v", from.name, to.name, len(b), rep.By(path), path, rep, err)
			}
		}
	}
}

// TestAStalledSinkShowsInTheReport while it lasts, with what the sink has taken so far; and the time is counted.
func TestAStalledSinkShowsInTheReport(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	for _, to := range valves() {
		if to.name == "TCP" || to.name == "blocking TCP" {
			continue // which takes a little more from time to time
		}
		for _, by := range manners(t) {
			t.Run(to.name+", "+by.name, func(t *testing.T) {
				dst, r, end := to.open(t)
				tr := penstock.NewTransfer(dst, tcpSource(t, data), by.opts...)
				over := make(chan error, 1)
				go func() { _, err := tr.Run(background); over <- err }()
				stalled(t, tr, penstock.SideSink)
				live := tr.Report()
				if live.Waiting != penstock.SideSink || live.SinkStalled < live.Since || live.Since == 0 {
					t.Errorf("%+v", live)
				}
				got := drink(t, r)
				if err := <-over; err != nil {
					t.Fatal(err)
				}
				end()
				if b := got(); !bytes.Equal(b, data) {
					t.Errorf("%d bytes of %d, or others", len(b), len(data))
				}
				if last := tr.Report(); last.SinkStalled < live.Since || last.Waiting != penstock.SidePipe || last.Since != 0 {
					t.Errorf("%+v, and then %+v", live, last)
				}
			})
		}
	}
}

// TestWhatAStalledSinkHasTakenIsDelivered already: not only when the rest has gone, too.
func TestWhatAStalledSinkHasTakenIsDelivered(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	for _, to := range valves() {
		if to.name == "TCP" || to.name == "blocking TCP" || to.name == "wrapped connection" {
			continue // the first takes a little more from time to time, and the last tells nothing before its Write ends
		}
		for _, by := range manners(t) {
			if by.name == "no splice" && (to.name == "Pipe" || to.name == "KernelPipe") {
				continue // which are written to like any other
			}
			t.Run(to.name+", "+by.name, func(t *testing.T) {
				src := tcpSource(t, data)
				dst, r, end := to.open(t)
				ctx, cancel := context.WithCancelCause(background)
				tr := penstock.NewTransfer(dst, src, by.opts...)
				over := make(chan error, 1)
				go func() { _, err := tr.Run(ctx); over <- err }()
				stalled(t, tr, penstock.SideSink)
				live := tr.Report()
				cancel(errGone)
				err := <-over
				failedAt(t, err, penstock.SideSink, live.Delivered, errGone)
				if last := tr.Report(); last.Delivered != live.Delivered || last.Consumed != live.Consumed {
					t.Errorf("%+v, and then %+v", live, last)
				}
				got := drink(t, r)
				if _, err := penstock.Resume(background, dst, src, err, by.opts...); err != nil {
					t.Error(err)
				}
				end()
				if b := got(); !bytes.Equal(b, data) {
					t.Errorf("%d bytes of %d, or others", len(b), len(data))
				}
			})
		}
	}
}

// TestASlowSinkIsNotIdle as long as it takes a little within each timeout, though a chunk takes it several; and so it
// is with a slow further sink.
func TestASlowSinkIsNotIdle(t *testing.T) {
	const idle = 400 * time.Millisecond
	data := bytes.Repeat(pattern(64<<10), 12)
	for _, which := range []string{"destination", "tee"} {
		for _, how := range manners(t)[:2] {
			t.Run(which+", "+how.name, func(t *testing.T) {
				t.Parallel()
				near, far := socket(t, "tcp")
				squeeze(t, near, far)
				got := make(chan []byte, 1)
				go func() { // for three timeouts
					var all bytes.Buffer
					rate := penstock.WithRate(int64(float64(len(data)) / (3 * idle.Seconds())))
					_, err := penstock.Copy(background, &all, far, rate)
					if err != nil && !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					got <- all.Bytes()
				}()
				opts := append([]penstock.Option{penstock.WithIdleTimeout(idle)}, how.opts...)
				dst := io.Writer(near)
				if which == "tee" {
					dst = io.Discard
					opts = append(opts, penstock.WithTee(near))
				}
				_, err := penstock.Copy(background, dst, tcpSource(t, data), opts...)
				near.Close()
				if b := <-got; err != nil || !bytes.Equal(b, data) {
					t.Errorf("%d bytes of %d, or others: %v", len(b), len(data), err)
				}
			})
		}
	}
}
