package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock/relay"
	"github.com/penstock-io/penstock/relay/capture"
)

// tape is a capture in memory.
type tape struct{ bytes.Buffer }

func (*tape) Close() error { return nil }

// spoken is a conversation that takes four seconds: the client speaks in the first and the third, the server answers
// a second later.
func spoken(t *testing.T) []byte {
	var f tape
	w, err := capture.NewWriter(&f, relay.Info{Began: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"one", "ONE", "three", "THREE"} {
		time.Sleep(time.Second)
		d := []relay.Direction{relay.Forward, relay.Backward}[i%2]
		if _, err := w.Side(d).Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(relay.Ending{Forward: relay.Share{Had: 8}, Backward: relay.Share{Had: 8}}); err != nil {
		t.Fatal(err)
	}
	return f.Bytes()
}

// pipeEnd is one end of a net.Pipe, which cannot be half-closed: the other is told by a channel.
type pipeEnd struct {
	net.Conn
	half chan struct{}
}

func (p *pipeEnd) CloseWrite() error {
	close(p.half)
	return nil
}

func (p *pipeEnd) Finish(context.Context) error { return p.Conn.Close() }

// heardAt is what a target got, and when.
type heardAt struct {
	text string
	at   time.Duration
}

// play plays a conversation to a target that answers what answer says, and returns what it heard.
func play(t *testing.T, s speed, answer func(heard string) string) (p *playing, heard []heardAt) {
	tape := spoken(t)
	var readers [2]*capture.Reader
	for i := range readers {
		var err error
		if readers[i], err = capture.NewReader(bytes.NewReader(tape)); err != nil {
			t.Fatal(err)
		}
	}
	ours, theirs := net.Pipe()
	end := &pipeEnd{ours, make(chan struct{})}
	p = &playing{
		speed: s, idle: 10 * time.Second, verify: true, source: readers[0], expected: &answered{r: readers[1]}, wanted: 8,
		to: end, from: end, end: end,
	}
	began := time.Now()
	go func() {
		<-end.half
		_ = theirs.Close()
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 100)
		for {
			n, err := theirs.Read(b)
			if err != nil {
				return
			}
			heard = append(heard, heardAt{string(b[:n]), time.Since(began)})
			if _, err := io.WriteString(theirs, answer(string(b[:n]))); err != nil {
				return
			}
		}
	}()
	p.run(t.Context())
	<-done
	return p, heard
}

func upper(heard string) string { return string(bytes.ToUpper([]byte(heard))) }

// TestAReplayKeepsThePace, or a multiple of it, or none.
func TestAReplayKeepsThePace(t *testing.T) {
	for s, want := range map[speed][2]time.Duration{
		1: {time.Second, 3 * time.Second}, 2: {time.Second / 2, 3 * time.Second / 2},
		0.01: {100 * time.Second, 300 * time.Second}, 0: {0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, heard := play(t, s, upper)
			if p.err != nil || p.difference != "" || p.sent != 8 || p.came != 8 || p.took != want[1] {
				t.Errorf("%v: %v, %s, %d and %d bytes in %v", &s, p.err, p.difference, p.sent, p.came, p.took)
			}
			if len(heard) != 2 || heard[0] != (heardAt{"one", want[0]}) || heard[1] != (heardAt{"three", want[1]}) {
				t.Errorf("%v: %v", &s, heard)
			}
		})
	}
}

// TestAReplayTellsWhatIsAnother than what came back then.
func TestAReplayTellsWhatIsAnother(t *testing.T) {
	for want, answer := range map[string]func(string) string{
		"": upper,
		"byte 4 of what came back is 0x68: then it was 0x48": func(heard string) string {
			if heard == "one" {
				return "ONE"
			}
			return "Three"
		},
		"6 bytes came back: 8 did then": func(heard string) string { return upper(heard)[:3] },
		"more came back than the 8 bytes that did then": func(heard string) string {
			return upper(heard) + map[string]string{"three": "!"}[heard]
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			if p, _ := play(t, 0, answer); p.err != nil || p.difference != want {
				t.Errorf("%v, %q and not %q", p.err, p.difference, want)
			}
		})
	}
}

// TestAReplayDoesNotWaitForever for a target that takes nothing, though it does for what is not due yet.
func TestAReplayDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		defer close(stuck)
		ours, theirs := net.Pipe()
		defer theirs.Close()
		r, err := capture.NewReader(bytes.NewReader(spoken(t)))
		if err != nil {
			t.Fatal(err)
		}
		end := &pipeEnd{ours, make(chan struct{})}
		p := &playing{speed: 0.01, idle: 10 * time.Second, source: r, wanted: 8, to: end, from: end, end: end}
		began := time.Now()
		p.run(t.Context())
		if took := time.Since(began); !errors.Is(p.err, errSilent) || took < 110*time.Second || took > 130*time.Second {
			t.Errorf("%v after %v", p.err, took)
		}
	})
}
