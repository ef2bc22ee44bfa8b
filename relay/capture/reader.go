package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// ErrCutShort is the error of a capture that has no end: whoever wrote it crashed, is still writing, or had no room.
// It is an io.ErrUnexpectedEOF.
var ErrCutShort = fmt.Errorf("capture: cut short: %w", io.ErrUnexpectedEOF)

// ErrFormat is the error of what is no capture, or a damaged one, or of a version that is not known.
var ErrFormat = errors.New("capture: wrong format")

// Frame is a piece of what went through.
type Frame struct {
	Direction relay.Direction // Forward or Backward
	At        time.Duration   // since the connection began
	Data      []byte          // good until the next Next
}

// Reader reads a capture, from one goroutine.
type Reader struct {
	r     *bufio.Reader
	info  relay.Info
	buf   []byte
	at    time.Duration
	had   [2]int64
	end   relay.Ending
	ended bool
	err   error // which every further Next has
}

// NewReader reads the header. Its error is ErrFormat or ErrCutShort, or r's.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{r: bufio.NewReaderSize(r, maxFrame)}
	if err := c.header(); err != nil {
		return nil, err
	}
	return c, nil
}

// Info tells which connection it is.
func (c *Reader) Info() relay.Info { return c.info }

// Ending tells how the connection ended, once Next has returned io.EOF.
func (c *Reader) Ending() (e relay.Ending, ok bool) { return c.end, c.ended }

func (c *Reader) header() (err error) {
	head := make([]byte, len(magic)+1)
	switch n, err := io.ReadFull(c.r, head); {
	case string(head[:min(n, len(magic))]) != magic[:min(n, len(magic))]:
		return fmt.Errorf("%w: it is no capture", ErrFormat)
	case err != nil:
		return cut(err)
	case head[len(magic)] != version:
		return fmt.Errorf("%w: version %d: want %d", ErrFormat, head[len(magic)], version)
	}
	if c.info.ID, err = c.number(); err != nil {
		return err
	}
	var began [8]byte
	if _, err := io.ReadFull(c.r, began[:]); err != nil {
		return cut(err)
	}
	c.info.Began = time.Unix(0, int64(binary.BigEndian.Uint64(began[:])))
	var from, to string
	for _, text := range []*string{&c.info.Relay, &from, &to, &c.info.Target} {
		if *text, err = c.text(); err != nil {
			return err
		}
	}
	if c.info.From, err = address(from); err == nil {
		c.info.To, err = address(to)
	}
	return err
}

func address(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return a, fmt.Errorf("%w: address %q", ErrFormat, text)
	}
	return a, nil
}

// cut makes an end in the middle of something an ErrCutShort.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrCutShort
	}
	return err
}

func (c *Reader) text() (string, error) {
	n, err := c.number()
	if err != nil {
		return "", err
	}
	if n > maxText {
		return "", fmt.Errorf("%w: a text of %d bytes", ErrFormat, n)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(c.r, b)
	if err != nil {
		return "", cut(err)
	}
	return string(b), nil
}

func (c *Reader) number() (n uint64, err error) {
	for shift := 0; shift < 64; shift += 7 {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		if shift == 63 && b > 1 {
			break
		}
		if n |= uint64(b&0x7f) << shift; b < 0x80 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: a number of more than 64 bits", ErrFormat)
}

// amount reads a number that is to be an int64.
func (c *Reader) amount() (int64, error) {
	n, err := c.number()
	if err == nil && n > math.MaxInt64 {
		err = fmt.Errorf("%w: a number of %d", ErrFormat, n)
	}
	return int64(n), err
}

// Next returns the next frame. Its error is io.EOF behind the end of a whole capture, else ErrCutShort, ErrFormat or
// the reader's; the frames before that are good.
func (c *Reader) Next() (Frame, error) {
	if c.err != nil {
		return Frame{}, c.err
	}
	f, err := c.next()
	c.err = err
	return f, err
}

func (c *Reader) next() (f Frame, err error) {
	kind, err := c.r.ReadByte()
	if err != nil {
		return f, cut(err)
	}
	if kind < forwardFrame || kind > endFrame {
		return f, fmt.Errorf("%w: a frame of kind %d", ErrFormat, kind)
	}
	at, err := c.amount()
	if err != nil {
		return f, err
	}
	if time.Duration(at) < c.at {
		return f, fmt.Errorf("%w: time goes back from %v to %v", ErrFormat, c.at, time.Duration(at))
	}
	c.at = time.Duration(at)
	if kind == endFrame {
		return f, c.readEnd()
	}
	n, err := c.number()
	if err != nil {
		return f, err
	}
	if n == 0 || n > maxFrame {
		return f, fmt.Errorf("%w: a frame of %d bytes", ErrFormat, n)
	}
	if cap(c.buf) < int(n) {
		c.buf = make([]byte, n)
	}
	b := c.buf[:n]
	if _, err := io.ReadFull(c.r, b); err != nil {
		return f, cut(err)
	}
	c.had[kind-forwardFrame] += int64(n)
	f = Frame{Direction: relay.Forward, At: c.at, Data: b}
	if kind == backwardFrame {
		f.Direction = relay.Backward
	}
	return f, nil
}

// readEnd returns io.EOF if the end is as it should be.
func (c *Reader) readEnd() error {
	e := relay.Ending{Elapsed: c.at}
	if _, err := io.ReadFull(c.r, e.Termination[:]); err != nil {
		return cut(err)
	}
	for i, s := range []*relay.Share{&e.Forward, &e.Backward} {
		var err error
		if s.Had, err = c.amount(); err == nil {
			s.Lost, err = c.amount()
		}
		if err != nil {
			return err
		}
		if s.Had != c.had[i] {
			return fmt.Errorf("%w: there are %d bytes, and should be %d", ErrFormat, c.had[i], s.Had)
		}
	}
	switch _, err := c.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: something stands behind the end", ErrFormat)
	case err != io.EOF:
		return err
	}
	c.end, c.ended = e, true
	return io.EOF
}
