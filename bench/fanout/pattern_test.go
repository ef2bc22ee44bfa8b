package main

import (
	"bytes"
	"testing"
)

func TestPatternIsTheSameInWhateverPiecesItIsFilled(t *testing.T) {
	whole := make([]byte, 100)
	fillPattern(whole, 1000)
	for cut := range len(whole) {
		pieces := make([]byte, len(whole))
		fillPattern(pieces[:cut], 1000)
		fillPattern(pieces[cut:], 1000+int64(cut))
		if !bytes.Equal(pieces, whole) {
			t.Fatalf("filled in two pieces cut at %d: the bytes differ", cut)
		}
	}
}

func TestCheckFindsTheByteThatIsWrongOrMissing(t *testing.T) {
	const from = 8003
	b := make([]byte, 100)
	fillPattern(b, from)
	if err := checkPattern(b, from); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 1
		if err := checkPattern(b, from); err == nil {
			t.Errorf("byte %d changed: not noticed", i)
		}
		b[i] ^= 1
	}
	for lost := 1; lost < 20; lost++ {
		if err := checkPattern(b[lost:], from); err == nil {
			t.Errorf("%d bytes lost: not noticed", lost)
		}
	}
}
