package relay

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// complaining returns complaints, and what has been said since the last time it was asked for.
func complaining() (cs *complaints, said func() string) {
	var b bytes.Buffer
	plain := slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}}
	log := slog.New(slog.NewTextHandler(&b, &plain))
	cs = &complaints{log: func() *slog.Logger { return log }}
	return cs, func() string {
		synctest.Wait()
		cs.mu.Lock()
		defer cs.mu.Unlock()
		defer b.Reset()
		return strings.TrimSpace(b.String())
	}
}

func TestADeadMirrorHasALineAtOnceAndThenOneEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs, said := complaining()
		want := func(when, text string) {
			t.Helper()
			if got := said(); got != text {
				t.Errorf("%s:\n%s\nwant\n%s", when, got, text)
			}
		}
		gone := errors.New("connection refused")
		one := lack{mirror: "tcp://x:1", connection: 1, direction: Forward, had: 3, lost: 7, err: gone}
		other := lack{mirror: "file:y", connection: 2, direction: BothWays, lost: 1}
		cs.add(one)
		want("at once", `mirror=tcp://x:1 connection=1 direction=forward bytes=3 lost=7 error="connection refused"`)
		cs.add(other)
		want("of another mirror, at once", "mirror=file:y connection=2 direction=both bytes=0 lost=1")
		for id := range uint64(1000) {
			one.connection = id + 2
			cs.add(one)
		}
		again := one
		again.counted, again.lost, again.err = true, 0, errors.New("at its end")
		cs.add(again)
		want("soon after", "")
		time.Sleep(complaintEvery - time.Millisecond)
		want("before its time", "")
		time.Sleep(time.Millisecond)
		want("in its time", `mirror=tcp://x:1 connections=1000 lost=7000 error="at its end"`)
		cs.add(one)
		time.Sleep(complaintEvery)
		want("ten seconds later", `mirror=tcp://x:1 connections=1 lost=7 error="connection refused"`)
		time.Sleep(complaintEvery)
		want("when there is nothing", "")
		cs.add(one)
		want("at once again", `mirror=tcp://x:1 connection=1001 direction=forward bytes=3 lost=7 error="connection refused"`)
		cs.add(one)
		cs.flush()
		want("at the end", `mirror=tcp://x:1 connections=1 lost=7 error="connection refused"`)
		cs.flush()
		want("at the end again", "")
	})
}
