package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/penstock-io/penstock"
)

// benchWay is how the bytes of a row are moved.
type benchWay string

const (
	byCopy         benchWay = "copy"           // penstock.Copy
	byReadAndWrite benchWay = "without-splice" // with penstock.WithoutSplice: what the others are compared with
	byIOCopy       benchWay = "io.Copy"
)

var benchWays = []benchWay{byCopy, byReadAndWrite, byIOCopy}

// benchRounds is how often each row gets its turn, if there is time.
const benchRounds = 5

// bench is one run. What it opens it closes.
type bench struct {
	benchFlags
	say      func(format string, args ...any) // one line for people
	terminal bool                             // people who may wonder whether anything happens

	files benchFiles
	pairs []*benchPair
	peers []benchPeer
}

var errInterrupted = errors.New("interrupted")

// run measures for about as long as its flags ask for. A machine that takes longer has fewer rounds: the last one
// begins within that time.
func (b *bench) run(ctx context.Context) (*benchResult, error) {
	err := b.open()
	defer b.close()
	if err != nil {
		return nil, err
	}
	stopPeers, err := b.startPeers()
	if err != nil {
		return nil, fmt.Errorf("feeder and drain: %w", err)
	}
	defer stopPeers()
	defer b.closeEnds() // which ends what the peers wait for
	defer context.AfterFunc(ctx, b.closeEnds)()

	whole := b.time * time.Duration(len(b.pairs)*len(benchWays))
	if b.terminal {
		b.say("measuring for %v", whole.Round(time.Second))
	}
	samples := make(map[benchRowKey]*benchSamples)
	began := time.Now()
	rounds := 0
	for ; rounds < benchRounds && (rounds == 0 || time.Since(began) < whole); rounds++ {
		for _, p := range b.pairs {
			for _, way := range benchWays {
				key := benchRowKey{p, way}
				if samples[key] == nil {
					samples[key] = new(benchSamples)
				}
				s := samples[key]
				if s.err != nil {
					continue
				}
				s.err = s.measure(ctx, p, way, int64(b.size), b.time/benchRounds)
				switch {
				case s.err == nil:
				case ctx.Err() != nil:
					return nil, errInterrupted
				case way != byIOCopy || !errors.As(s.err, new(syscall.Errno)): // which has no other way in a sandbox
					return nil, fmt.Errorf("%s to %s, %s: %w", p.from, p.to, way, s.err)
				}
			}
		}
	}
	return b.result(samples, rounds), nil
}

type benchRowKey struct {
	pair *benchPair
	way  benchWay
}

// result makes rows of what was measured.
func (b *bench) result(samples map[benchRowKey]*benchSamples, rounds int) *benchResult {
	r := newBenchResult(&b.benchFlags)
	r.Rounds = rounds
	for _, p := range b.pairs {
		reference := median(samples[benchRowKey{p, byReadAndWrite}].rates)
		for _, way := range benchWays {
			s := samples[benchRowKey{p, way}]
			row := benchRow{From: p.from, To: p.to, Way: way, Path: s.path}
			switch {
			case s.err != nil:
				row.Error = systemCall(s.err)
			default:
				row.BytesPerSecond = median(s.rates)
				row.Ratio = row.BytesPerSecond / reference
				if len(s.cpu) > 0 {
					cpu := median(s.cpu)
					row.CPUSecondsPerGB = &cpu
				}
			}
			r.Rows = append(r.Rows, row)
		}
	}
	return r
}

// systemCall is what an error is at bottom: "splice: operation not permitted".
func systemCall(err error) string {
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		err = call
	}
	return err.Error()
}

// benchSamples is what the rounds of one row have given.
type benchSamples struct {
	path  penstock.Path
	rates []float64 // bytes per second
	cpu   []float64 // seconds per 10^9 bytes; none where it cannot be told
	err   error     // why there are no more
}

// measure moves n bytes again and again, for so long, once at least.
func (s *benchSamples) measure(ctx context.Context, p *benchPair, way benchWay, n int64, long time.Duration) error {
	var moved int64
	cpu, known := processorTime()
	began := time.Now()
	elapsed := time.Duration(0)
	for last := time.Duration(0); moved == 0 || elapsed+last/2 < long; { // as near to it as whole turns come
		path, err := p.move(ctx, way, n)
		if err != nil {
			return err
		}
		s.path = path
		moved += n
		last, elapsed = time.Since(began)-elapsed, time.Since(began)
	}
	s.rates = append(s.rates, float64(moved)/elapsed.Seconds())
	if known {
		now, _ := processorTime()
		s.cpu = append(s.cpu, (now-cpu).Seconds()/(float64(moved)/1e9))
	}
	return nil
}

// move moves n bytes, and returns the path that they took.
func (p *benchPair) move(ctx context.Context, way benchWay, n int64) (penstock.Path, error) {
	if err := p.rewind(); err != nil {
		return "", err
	}
	if way == byIOCopy {
		dst := p.sinks[0]
		if len(p.sinks) > 1 {
			dst = io.MultiWriter(p.sinks...)
		}
		_, err := io.CopyN(dst, p.source, n)
		return "io.Copy", err
	}
	opts := []penstock.Option{penstock.WithLimit(n), penstock.WithTee(p.sinks[1:]...)}
	if way == byReadAndWrite {
		opts = append(opts, penstock.WithoutSplice())
	}
	r, err := penstock.Copy(ctx, p.sinks[0], p.source, opts...)
	if err == nil && r.Delivered < n {
		err = io.ErrUnexpectedEOF
	}
	return r.Path, err
}

// median returns the middle one, or the mean of the two in the middle.
func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	half := len(v) / 2
	if len(v)%2 == 1 {
		return v[half]
	}
	return (v[half-1] + v[half]) / 2
}
