package main

import (
	"encoding/binary"
	"fmt"
)

// The verified stream is its own index: the eight bytes at offset o, for every o that is a multiple of eight, are o
// in little endian. A byte lost, doubled or moved by any path shows at the first word behind it, with its offset.

// fillPattern writes the bytes of the stream from offset off into b.
func fillPattern(b []byte, off int64) {
	for len(b) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], uint64(off&^7))
		n := copy(b, word[off&7:])
		b, off = b[n:], off+int64(n)
		for len(b) >= 8 {
			binary.LittleEndian.PutUint64(b, uint64(off))
			b, off = b[8:], off+8
		}
	}
}

// checkPattern compares b with the bytes of the stream from offset off and names the first offset that differs.
func checkPattern(b []byte, off int64) error {
	for len(b) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], uint64(off&^7))
		want := word[off&7:]
		n := min(len(want), len(b))
		for i := range n {
			if b[i] != want[i] {
				return fmt.Errorf("stream differs at offset %d: got %#02x, want %#02x", off+int64(i), b[i], want[i])
			}
		}
		b, off = b[n:], off+int64(n)
		for len(b) >= 8 && binary.LittleEndian.Uint64(b) == uint64(off) {
			b, off = b[8:], off+8
		}
	}
	return nil
}
