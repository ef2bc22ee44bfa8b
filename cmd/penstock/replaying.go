package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/relay"
	"github.com/penstock-io/penstock/relay/capture"
)

// playing is a capture being played to a target.
type playing struct {
	speed    speed
	idle     time.Duration
	verify   bool
	source   *capture.Reader // whose forward frames are sent
	expected *answered       // what should come back
	wanted   int64           // how many bytes that are
	to       io.Writer       // the target's halves
	from     io.Reader
	end      player

	sent int64 // bytes; this and what follows once run has returned
	came int64
	took time.Duration // until the last of them was sent
	err  error         // what the target has failed with, or the context

	moved   atomic.Int64 // changes whenever something has
	pausing atomic.Bool  // nothing is to move

	difference string // where what came back is not what should; empty if it is
}

// player is an end that is played to.
type player interface {
	CloseWrite() error
	Finish(ctx context.Context) error
	Close() error
}

var _ player = (*address.End)(nil)

// errSilent is of a target that has not done anything for --idle.
var errSilent = errors.New("takes nothing, and says nothing")

// run plays it until the target has closed, or says nothing any more, and closes the target.
func (p *playing) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { _ = p.end.Close() }) // which ends every wait
	defer stop()
	enough, heard := make(chan struct{}), make(chan error, 1)
	go func() { heard <- p.hear(enough) }()
	err := p.send(ctx, cancel)
	if err == nil {
		err = p.hearOut(ctx, enough, heard)
	} else {
		stop()
		_ = p.end.Close()
		<-heard
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if p.err = err; err == nil {
		within, done := context.WithTimeout(ctx, grace)
		defer done()
		p.err = p.end.Finish(within)
	}
}

// send sends every forward frame when it is due, from now on.
func (p *playing) send(ctx context.Context, cancel context.CancelCauseFunc) error {
	began := time.Now()
	defer func() { p.took = time.Since(began) }()
	defer p.watch(func() { cancel(errSilent) })()
	for {
		f, err := p.source.Next()
		if err != nil {
			return nil // its end, or damage, which is known
		}
		if f.Direction != relay.Forward {
			continue
		}
		if err := p.pause(ctx, p.speed.after(f.At)-time.Since(began)); err != nil {
			return err
		}
		n, err := p.to.Write(f.Data)
		p.sent += int64(n)
		p.moved.Add(1)
		if err != nil {
			return err
		}
	}
}

// pause waits for so long, which does not count as silence.
func (p *playing) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	p.pausing.Store(true)
	defer func() {
		p.moved.Add(1)
		p.pausing.Store(false)
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch calls f when nothing has moved for --idle, until it is stopped.
func (p *playing) watch(f func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		last := p.moved.Load()
		timer := time.NewTimer(p.idle)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
			case <-done:
				return
			}
			now := p.moved.Load()
			if now == last && !p.pausing.Load() {
				f()
				return
			}
			last = now
			timer.Reset(p.idle)
		}
	}()
	return func() { close(done) }
}

// hearOut waits for the answers to what has been sent, tells the target that this was all, and waits for its end.
func (p *playing) hearOut(ctx context.Context, enough <-chan struct{}, heard <-chan error) error {
	silent := make(chan struct{})
	stop := p.watch(func() { close(silent) })
	over := false
	var err error
	select {
	case <-enough:
	case err = <-heard:
		over = true
	case <-silent:
	case <-ctx.Done():
	}
	stop()
	if over || ctx.Err() != nil {
		if !over {
			<-heard
		}
		return err
	}
	if err := p.end.CloseWrite(); err != nil {
		_ = p.end.Close()
		<-heard
		return err
	}
	silent = make(chan struct{})
	defer p.watch(func() { close(silent) })()
	select {
	case err := <-heard:
		return err
	case <-silent: // it keeps the connection; what has come is judged
		_ = p.end.Close()
		<-heard
		return nil
	}
}

// hear reads all answers. enough is closed when as many bytes have come as should, or as there are.
func (p *playing) hear(enough chan struct{}) error {
	b := make([]byte, 64<<10)
	told := false
	for {
		if p.came >= p.wanted && !told {
			close(enough)
			told = true
		}
		n, err := p.from.Read(b)
		p.compare(b[:n])
		p.came += int64(n)
		p.moved.Add(int64(n))
		switch {
		case err == nil:
		case err == io.EOF, errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed):
			if p.difference == "" && p.came < p.wanted {
				p.difference = fmt.Sprintf("%d bytes came back: %d did then", p.came, p.wanted)
			}
			return nil
		default:
			return err
		}
	}
}

// compare notes the first byte that is another than then.
func (p *playing) compare(b []byte) {
	if !p.verify || p.difference != "" {
		return
	}
	for i, got := range b {
		want, ok := p.expected.next()
		switch {
		case !ok:
			p.difference = fmt.Sprintf("more came back than the %d bytes that did then", p.wanted)
		case want != got:
			p.difference = fmt.Sprintf("byte %d of what came back is %#02x: then it was %#02x", p.came+int64(i), got, want)
		default:
			continue
		}
		return
	}
}

// answered are the bytes that came back then.
type answered struct {
	r    *capture.Reader
	left []byte
}

func (a *answered) next() (b byte, ok bool) {
	for len(a.left) == 0 {
		f, err := a.r.Next()
		if err != nil {
			return 0, false
		}
		if f.Direction == relay.Backward {
			a.left = f.Data
		}
	}
	b, a.left = a.left[0], a.left[1:]
	return b, true
}
