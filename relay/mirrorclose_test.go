package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// lasting is an Abandonable whose Close waits to be abandoned.
type lasting struct {
	discard
	abandoned, closing, closed chan struct{}
	once                       sync.Once
}

func newLasting() *lasting {
	return &lasting{
		discard: discard{io.Discard}, abandoned: make(chan struct{}), closing: make(chan struct{}), closed: make(chan struct{}),
	}
}

var _ relay.Abandonable = (*lasting)(nil)

func (l *lasting) Bare() io.WriteCloser { return l.discard }
func (l *lasting) Abandon()             { l.once.Do(func() { close(l.abandoned) }) }

func (l *lasting) Close() error {
	close(l.closing)
	<-l.abandoned
	close(l.closed)
	return errors.New("given up")
}

// mirrorTo is a relay of which all that clients send is mirrored to what open returns, and of which one connection has been.
func mirrorTo(t *testing.T, log io.Writer, open func() (io.WriteCloser, error)) *running {
	t.Helper()
	r := run(t, relay.Config{
		Targets: []relay.Target{{Address: echo(t)}}, Log: slog.New(slog.NewTextHandler(log, nil)),
		Mirrors: []relay.Mirror{{
			Direction: relay.Forward, Linger: 10 * time.Millisecond,
			Open: func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) { return open() },
		}},
	})
	client := dial(t, r.addr)
	say(t, client, []byte("a word"))
	hear(t, client)
	r.ended(t)
	return r
}

// TestShutdownAbandonsAMirrorThatLasts when its time is over, waits until it has ended, and tells so.
func TestShutdownAbandonsAMirrorThatLasts(t *testing.T) {
	l, log := newLasting(), new(bytes.Buffer)
	r := mirrorTo(t, log, func() (io.WriteCloser, error) { return l, nil })
	await(t, l.closing, "the mirror's Close")
	if r.Idle() {
		t.Error("is said to have nothing to do")
	}
	r.Close()
	select {
	case <-l.closed:
	default:
		t.Error("it was not waited for")
	}
	if !r.Idle() {
		t.Error("is said to have something to do")
	}
	if got := log.String(); !strings.Contains(got, `error="given up"`) {
		t.Errorf("the log is %q", got)
	}
}

// TestWhatIsOpenedForNobodyIsAbandoned: by then the connection, and what it may wait, are over.
func TestWhatIsOpenedForNobodyIsAbandoned(t *testing.T) {
	l := newLasting()
	goOn := make(chan struct{})
	mirrorTo(t, io.Discard, func() (io.WriteCloser, error) {
		<-goOn
		return l, nil
	})
	close(goOn)
	await(t, l.closed, "the end of what was opened too late")
}
