package soak

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// content is an endless stream whose every byte follows from its offset: records of one size, each a head with its number
// and a filler that depends on the number. So whoever joins in the middle knows from the next head on where it is, and what
// it has had before that.
type content struct {
	size int    // of a record
	mark string // what a head begins with, and nothing else in the stream; digits of the number are behind it
	tail string // what a record ends with
}

// The contents that there are. A part is a unit of multipart/x-mixed-replace, where viewers begin; a record of bytes is
// nothing to the server.
var (
	parts  = &content{16 << 10, "--frame\r\nContent-Type: application/octet-stream\r\n\r\n", "\r\n"}
	octets = &content{4 << 10, "\x01record\x02", ""}
)

const digits = 12

// fillers are bytes that are neither in heads nor in text.
var fillers = func() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = 0x80 + byte(random.IntN(0x60))
	}
	return b
}()

// read fills b with the stream's bytes from an offset on.
func (c *content) read(b []byte, off int64) {
	size := int64(c.size)
	for len(b) > 0 {
		n := min(len(b), int(size-off%size))
		c.readRecord(b[:n], off/size, int(off%size))
		b, off = b[n:], off+int64(n)
	}
}

// readRecord fills b with bytes of the record of that number, from the given one on.
func (c *content) readRecord(b []byte, number int64, from int) {
	head, tail := len(c.mark)+digits, c.size-len(c.tail)
	fill := fillers[int(number*61%int64(len(fillers)-c.size)):] // its neighbours have others
	for n := 0; len(b) > 0; b, from = b[n:], from+n {
		switch {
		case from < head:
			n = copy(b, fmt.Sprintf("%s%0*d", c.mark, digits, number)[from:])
		case from < tail:
			n = copy(b, fill[from:tail])
		default:
			n = copy(b, c.tail[from-tail:])
		}
	}
}

// next returns the least offset from off on at which a record begins.
func (c *content) next(off int64) int64 {
	size := int64(c.size)
	return (off + size - 1) / size * size
}

// place returns the offset of b's first byte, by the first head in it.
func (c *content) place(b []byte) (off int64, ok bool) {
	i := bytes.Index(b, []byte(c.mark))
	if i < 0 || len(b) < i+len(c.mark)+digits {
		return 0, false
	}
	number, err := strconv.ParseInt(string(b[i+len(c.mark):][:digits]), 10, 64)
	return number*int64(c.size) - int64(i), err == nil
}

// follower checks what a viewer gets, byte by byte.
type follower struct {
	*content
	joins bool // it has to begin where a record does
	skips bool // it may miss whole records

	joined  bool
	at      int64 // offset of the next byte, once joined
	skipped int64 // bytes
	held    []byte
	want    []byte // storage
}

// take looks at what comes next. An error says that the stream is damaged.
func (f *follower) take(b []byte) error {
	if len(f.held) > 0 {
		b = append(f.held, b...)
		f.held = nil
	}
	if !f.joined {
		off, ok := f.place(b)
		switch {
		case !ok && len(b) > 2*f.size:
			return fmt.Errorf("no record within the first %d bytes", len(b))
		case !ok:
			f.held = slices.Clone(b)
			return nil
		case off < 0 || f.joins && off%int64(f.size) != 0:
			return fmt.Errorf("the stream begins %d bytes behind the beginning of a record", off%int64(f.size))
		}
		f.joined, f.at = true, off
	}
	for len(b) > 0 {
		left := f.size - int(f.at%int64(f.size))
		if f.skips && left == f.size {
			if len(b) < len(f.mark)+digits {
				f.held = slices.Clone(b)
				return nil
			}
			if off, ok := f.place(b[:len(f.mark)+digits]); ok && off > f.at {
				f.skipped += off - f.at
				f.at = off
			}
		}
		n := min(left, len(b))
		f.want = slices.Grow(f.want[:0], n)[:n]
		f.read(f.want, f.at)
		if !bytes.Equal(b[:n], f.want) {
			return f.damage(b[:n])
		}
		f.at += int64(n)
		b = b[n:]
	}
	return nil
}

// damage says where b begins to be wrong, and where what is there instead would belong.
func (f *follower) damage(b []byte) error {
	i := 0
	for b[i] == f.want[i] {
		i++
	}
	text := fmt.Sprintf("wrong from offset %d on: %.40q", f.at+int64(i), b[i:])
	if off, ok := f.place(b[i:]); ok {
		text += fmt.Sprintf(", as at %d", off)
	}
	return errors.New(text)
}

// TestAFollowerSeesDamage joins in the middle, in pieces, and is then given what no viewer should get.
func TestAFollowerSeesDamage(t *testing.T) {
	const from, n = 123*4096 + 77, 40_000
	bytesFrom := func(off int64, n int) []byte {
		b := make([]byte, n)
		octets.read(b, off)
		return b
	}
	damaged := bytesFrom(from+n, 5000)
	damaged[4999] ^= 1
	for name, next := range map[string]struct {
		b    []byte
		fine bool
	}{
		"what follows": {bytesFrom(from+n, 5000), true},
		"loss":         {bytesFrom(from+n+1, 5000), false},
		"a record":     {bytesFrom(from+n+4096, 5000), false},
		"repetition":   {bytesFrom(from+n-4096, 5000), false},
		"one bit":      {damaged, false},
	} {
		f := follower{content: octets}
		for b := bytesFrom(from, n); len(b) > 0; b = b[min(999, len(b)):] {
			if err := f.take(b[:min(999, len(b))]); err != nil {
				t.Fatal(err)
			}
		}
		if f.at != from+n {
			t.Errorf("it is at %d, not %d", f.at, from+n)
		}
		if err := f.take(next.b); (err == nil) != next.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAFollowerMaySkipWholeRecords and nothing else.
func TestAFollowerMaySkipWholeRecords(t *testing.T) {
	size := int64(parts.size)
	b := make([]byte, 3*size)
	parts.read(b[:size], 5*size)
	parts.read(b[size:], 9*size)
	for _, skips := range []bool{true, false} {
		f := follower{content: parts, joins: true, skips: skips}
		var err error
		for i := 0; i < len(b) && err == nil; i += 10 {
			err = f.take(b[i:min(i+10, len(b))])
		}
		if (err == nil) != skips || skips && (f.skipped != 3*size || f.at != 11*size) {
			t.Errorf("skips %v: %v, %d bytes skipped, at %d", skips, err, f.skipped, f.at)
		}
	}
	f := follower{content: parts, joins: true}
	if f.take(b[1:2*size]) == nil {
		t.Error("a beginning within a record was taken for one")
	}
}
