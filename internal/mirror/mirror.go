// Package mirror makes mirrors of a relay from text.
//
//	file:/var/log/pg/%c.bin         the bytes of one direction, in a file for each connection
//	capture:/var/log/pg/%c.cap      both directions with their times, as package capture has them
//	tcp://HOST:PORT, unix:, tls://  a connection for each, whose answers are read and dropped
//	exec:COMMAND                    a command for each, which reads them
//	null:                           nowhere
//
// Behind a question mark stand options, with & between them; those of exec stand before its colon. Sockets have those
// of package address besides.
//
//	direction=forward|backward|both  forward; of a capture both. But for a capture, each has one of its own
//	ratio=0.1                        of the connections; all
//	max=1MiB                         of each direction of each connection; all
//	queue=4MiB                       how far each may be behind; 8 MiB, of a file 1 MiB
//	on-slow=skip|disconnect          when that is full, leave out what there is no room for, as a file does; or give up
//	                                 on the connection's copy, as all others do: behind a gap, who speaks a protocol
//	                                 would take data for commands, and in a capture nobody would find it
//
// # Names
//
// In the name of a file %c is the connection's number, %d its direction, %a the client's address, %t when it began, %n
// the relay's name and %% a percent sign. What they stand for never leads to another folder, whatever a client says.
// Folders are made, and a file that is there is not written to: .1, .2 and so on is put behind the name then. Devices
// and FIFOs are written to; a FIFO that nobody reads fails at once.
package mirror

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/penstock-io/penstock/internal/size"
	"github.com/penstock-io/penstock/relay"
)

// Parse reads the text of a mirror, which becomes its name as far as it is [Safe]. It opens nothing.
func Parse(text string) (relay.Mirror, error) {
	m, err := parse(text)
	if err != nil {
		return relay.Mirror{}, fmt.Errorf("mirror %q: %w", Safe(text), err)
	}
	m.Name = Safe(text)
	return m, nil
}

// kinds are all there are, by what stands before the colon.
var kinds = map[string]func(m *relay.Mirror, rest, options string) error{
	"file": toFile, "capture": toCapture, "null": toNull,
	"exec": toAddress, "tcp": toAddress, "unix": toAddress, "tls": toAddress,
}

// wholeQueue is what a mirror may be behind that gives up for good: more than one that goes on behind a gap.
const wholeQueue = 8 << 20

const want = "want file:, capture:, tcp://, unix:, tls://, null: or exec:COMMAND"

func parse(text string) (m relay.Mirror, err error) {
	head, rest, colon := strings.Cut(text, ":")
	scheme, options, before := strings.Cut(head, "?")
	make := kinds[scheme]
	switch {
	case make == nil || !colon:
		return m, errors.New(want)
	case before && scheme != "exec":
		return m, errors.New("options stand behind it")
	case scheme != "exec":
		rest, options, _ = strings.Cut(rest, "?")
	}
	m.Direction = relay.Forward
	if scheme == "capture" {
		m.Direction = relay.BothWays
	}
	if scheme != "file" && scheme != "null" {
		m.Disconnect, m.Queue = true, wholeQueue
	}
	others, err := takeOptions(&m, options)
	if err != nil {
		return m, err
	}
	if scheme != "exec" && scheme != "null" && rest == "" {
		return m, errors.New("want a place behind it")
	}
	return m, make(&m, scheme+":"+rest, others)
}

// takeOptions takes a mirror's own options, and returns the others.
func takeOptions(m *relay.Mirror, options string) (others string, err error) {
	if options == "" {
		return "", nil
	}
	var left, seen []string
	for _, option := range strings.Split(options, "&") {
		name, value, _ := strings.Cut(option, "=")
		for _, before := range seen {
			if name == before {
				return "", fmt.Errorf("option %q: stands there twice", name)
			}
		}
		seen = append(seen, name)
		set, is := ownOptions[name]
		if !is {
			left = append(left, option)
			continue
		}
		if err := set(m, value); err != nil {
			return "", fmt.Errorf("option %q: %w", option, err)
		}
	}
	return strings.Join(left, "&"), nil
}

var ownOptions = map[string]func(m *relay.Mirror, value string) error{
	"direction": func(m *relay.Mirror, value string) error {
		for _, d := range []relay.Direction{relay.Forward, relay.Backward, relay.BothWays} {
			if value == d.String() {
				m.Direction = d
				return nil
			}
		}
		return errors.New("want forward, backward or both")
	},
	"ratio": func(m *relay.Mirror, value string) (err error) {
		if m.Ratio, err = strconv.ParseFloat(value, 64); err != nil || !(m.Ratio > 0 && m.Ratio <= 1) {
			return errors.New("want more than 0, and no more than 1")
		}
		return nil
	},
	"max":   func(m *relay.Mirror, value string) error { return takeSize(&m.MaxBytes, value) },
	"queue": func(m *relay.Mirror, value string) error { return takeSize(&m.Queue, value) },
	"on-slow": func(m *relay.Mirror, value string) error {
		if m.Disconnect = value == "disconnect"; !m.Disconnect && value != "skip" {
			return errors.New("want skip or disconnect")
		}
		return nil
	},
}

func takeSize(n *int64, value string) (err error) {
	if *n, err = size.Parse(value); err == nil && *n == 0 {
		err = errors.New("want more than nothing")
	}
	return err
}

func noOthers(others string) error {
	if others == "" {
		return nil
	}
	name, _, _ := strings.Cut(others, "=")
	return fmt.Errorf("option %q: want direction, ratio, max, queue or on-slow", name)
}

// bared is a sink whose closing is more than that of what gets the bytes.
type bared struct {
	io.WriteCloser // what gets them
	finish         func() error
}

func (b *bared) Bare() io.WriteCloser { return b.WriteCloser }
func (b *bared) Close() error         { return b.finish() }

var _ relay.Bared = (*bared)(nil)
