package testcard

import (
	"fmt"
	"image/jpeg"
	"time"
)

// MinSide and MaxSide bound the width and the height of a card, in pixels.
const (
	MinSide = 16
	MaxSide = 8192
)

// quality is that of the JPEG, 1 to 100: at 80, the lettering has no visible halo.
const quality = 80

// A Card draws numbered frames of one size. It is not safe for concurrent use: it is one picture, changed from frame
// to frame.
type Card struct {
	canvas   *canvas
	readouts readouts

	options jpeg.Options
	encoded sink   // where the encoder writes: the caller's memory, and only during Frame
	body    []byte // of a part, kept for its memory
}

// New returns a card of the given size in pixels. It is designed for 640x360 and scaled to any other size; small
// lettering is left out where it could not be read, and a picture that is not 16:9 shows more of the surroundings.
//
// It takes about as long as three frames, and panics if a side is less than [MinSide] or more than [MaxSide].
func New(width, height int) *Card {
	if min(width, height) < MinSide || max(width, height) > MaxSide {
		panic(fmt.Sprintf("testcard: New: a side of %dx%d is not in %d to %d pixels", width, height, MinSide, MaxSide))
	}
	c := newCanvas(width, height)
	drawPlate(c)
	c.freeze()
	return &Card{canvas: c, readouts: newReadouts(c.scale), options: jpeg.Options{Quality: quality}}
}

// Frame draws frame n as seen at t and appends it to dst, encoded as JPEG. It returns the extended slice, which is the
// caller's.
//
// The frame depends on n and t alone, not on what was drawn before: the same card, or another one of the same size,
// makes the same bytes of them again. The time is shown in UTC, to the millisecond. The counter shows the lowest nine
// decimal digits of n.
func (c *Card) Frame(dst []byte, n uint64, t time.Time) []byte {
	c.draw(n, t.UTC())
	c.encoded = dst
	if err := jpeg.Encode(&c.encoded, c.canvas.img, &c.options); err != nil {
		panic("testcard: Frame: " + err.Error()) // the sink cannot fail, and New has bounded the size
	}
	dst, c.encoded = c.encoded, nil
	return dst
}

// draw draws what moves over the plate, from the back to the front.
func (c *Card) draw(n uint64, t time.Time) {
	second := float64(t.Nanosecond()) / 1e9
	minute := (float64(t.Second()) + second) / 60

	c.canvas.wipe()
	drawPackets(c.canvas, n)
	drawWheel(c.canvas, n)
	drawWaves(c.canvas, n)
	drawSpray(c.canvas, n)
	drawGaugeHand(c.canvas, second)
	drawBead(c.canvas, minute)
	c.readouts.drawTime(c.canvas, t)
	c.readouts.drawCounter(c.canvas, n)
}

// A sink is a byte slice with the methods that image/jpeg wants of a writer; over others it puts a buffer, each time.
type sink []byte

func (s *sink) Write(p []byte) (int, error) { *s = append(*s, p...); return len(p), nil }
func (s *sink) WriteByte(b byte) error      { *s = append(*s, b); return nil }
func (s *sink) Flush() error                { return nil }
