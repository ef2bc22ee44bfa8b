package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// The stream is messages of one size, each of which says where it belongs:
//
//	0       8        16      24
//	magic   number   due     filler …
//
// the number counting from 0, due by the monotonic clock in ns, both in little endian. The filler is the same in all.
// So whoever joins in the middle finds the next message by its magic, and from there on knows every byte but due.

const (
	messageHead = 24
	magic       = "\xf0penst\xf1\xf2" // which neither text nor the filler has
)

// newMessage returns a message whose number and time are yet to be stamped.
func newMessage(size int) []byte {
	m := make([]byte, size)
	copy(m, magic)
	random := rand.New(rand.NewPCG(1, 2))
	for i := messageHead; i < size; i++ {
		m[i] = byte(random.IntN(0xf0))
	}
	return m
}

func stamp(message []byte, number uint64, due time.Duration) {
	binary.LittleEndian.PutUint64(message[8:], number)
	binary.LittleEndian.PutUint64(message[16:], uint64(due))
}

// parser checks a stream of messages.
type parser struct {
	like    []byte // a message as newMessage makes it
	joined  bool   // the first message was found, and the number of the next one is known
	next    uint64
	arrived int64 // messages
	lost    int64 // numbers that were left out
}

// parse takes the messages that are whole in b and tells each of them when it was due; what is left of b belongs before
// what comes next. An error is a stream that is no such stream any more.
func (p *parser) parse(b []byte, each func(due time.Duration)) (rest []byte, err error) {
	if !p.joined {
		at := bytes.Index(b, []byte(magic))
		if at < 0 {
			return b[max(0, len(b)-len(magic)+1):], nil
		}
		b = b[at:]
	}
	for len(b) >= len(p.like) {
		m := b[:len(p.like)]
		number := binary.LittleEndian.Uint64(m[8:])
		if !p.joined {
			p.joined, p.next = true, number
		}
		switch {
		case string(m[:len(magic)]) != magic:
			return b, fmt.Errorf("no message begins where message %d should", p.next)
		case !bytes.Equal(m[messageHead:], p.like[messageHead:]):
			return b, fmt.Errorf("message %d differs from what was sent", number)
		case number < p.next:
			return b, fmt.Errorf("message %d comes where %d should", number, p.next)
		}
		p.lost += int64(number - p.next)
		p.next = number + 1
		p.arrived++
		each(time.Duration(binary.LittleEndian.Uint64(m[16:])))
		b = b[len(m):]
	}
	return b, nil
}
