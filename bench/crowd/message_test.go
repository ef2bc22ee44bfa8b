package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const testMessage = 100

// streamOf returns the messages with these numbers; each is due at its number in seconds.
func streamOf(numbers ...uint64) (b []byte) {
	m := newMessage(testMessage)
	for _, n := range numbers {
		stamp(m, n, time.Duration(n)*time.Second)
		b = append(b, m...)
	}
	return b
}

// parseInPieces gives a parser the bytes piece by piece and returns when its messages were due.
func parseInPieces(b []byte, piece int) (p *parser, due []time.Duration, err error) {
	p = &parser{like: newMessage(testMessage)}
	var rest []byte
	for got := range slices.Chunk(b, piece) {
		rest, err = p.parse(append(rest, got...), func(d time.Duration) { due = append(due, d) })
		if err != nil {
			return p, due, err
		}
		rest = slices.Clone(rest)
	}
	return p, due, nil
}

func TestMessagesAreFoundInWhateverPiecesTheyCome(t *testing.T) {
	stream := streamOf(7, 8, 9, 10)
	for piece := 1; piece <= len(stream); piece++ {
		p, due, err := parseInPieces(stream[testMessage/2:], piece) // joined in the middle of the first
		if err != nil {
			t.Fatalf("pieces of %d: %v", piece, err)
		}
		if want := []time.Duration{8e9, 9e9, 10e9}; !slices.Equal(due, want) || p.arrived != 3 || p.lost != 0 {
			t.Fatalf("pieces of %d: due %v, %d arrived, %d lost", piece, due, p.arrived, p.lost)
		}
	}
}

func TestMessagesLeftOutAreCounted(t *testing.T) {
	p, _, err := parseInPieces(streamOf(1, 2, 5, 6, 8), 33)
	if err != nil || p.arrived != 5 || p.lost != 3 {
		t.Errorf("%d arrived, %d lost, %v; want 5 and 3", p.arrived, p.lost, err)
	}
}

func TestAStreamThatIsDamagedIsAnError(t *testing.T) {
	stream := streamOf(1, 2, 3)
	changed := slices.Clone(stream)
	changed[testMessage+50] ^= 1
	for name, c := range map[string]struct {
		stream []byte
		want   string
	}{
		"byte changed": {changed, "message 2 differs"},
		"byte lost":    {slices.Delete(slices.Clone(stream), testMessage+50, testMessage+51), "message 2 differs"},
		"whole again":  {streamOf(1, 2, 2), "message 2 comes where 3 should"},
		"part again":   {append(streamOf(1, 2), stream[testMessage+10:]...), "no message begins where message 3 should"},
	} {
		if _, _, err := parseInPieces(c.stream, 64); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
