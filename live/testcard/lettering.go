package testcard

import (
	"image"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// smallest is the size in pixels under which letters are only dirt. Lettering that would be smaller is left out.
const smallest = 7

// A lettering is some characters of a monospaced face at one size, drawn once and stencilled from then on. A nil one
// letters nothing.
type lettering struct {
	glyphs  [128]*image.Alpha // by character; the origin of each is on the base line
	advance int               // pixels from one character to the next
	capital int               // height of a capital above the base line, in pixels
}

// newLettering draws the characters of set, all ASCII, at a size in pixels. tracking is added between characters, in
// pixels.
func newLettering(ttf []byte, size, tracking float64, set string) *lettering {
	if size < smallest {
		return nil
	}
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		panic("testcard: an embedded font does not parse: " + err.Error())
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic("testcard: an embedded font has no face: " + err.Error())
	}
	defer face.Close()

	l := new(lettering)
	for _, char := range set {
		box, mask, corner, width, ok := face.Glyph(fixed.Point26_6{}, char)
		if !ok {
			panic("testcard: an embedded font lacks " + string(char))
		}
		// The face draws the next glyph over this mask, so it is copied.
		glyph := image.NewAlpha(box)
		draw.Draw(glyph, box, mask, corner, draw.Src)
		l.glyphs[char] = glyph
		l.advance = round(float64(width)/64 + tracking)
	}
	l.capital = face.Metrics().CapHeight.Round()
	return l
}

// width is that of n characters in pixels.
func (l *lettering) width(n int) int {
	if l == nil {
		return 0
	}
	return n * l.advance
}

// write letters text in ink, from the pixel p on the base line, and returns where it ended.
func (l *lettering) write(c *canvas, p image.Point, text []byte, ink *image.Uniform) image.Point {
	if l == nil {
		return p
	}
	for _, char := range text {
		if glyph := l.glyphs[char&0x7f]; glyph != nil {
			c.stencil(p, glyph, ink)
		}
		p.X += l.advance
	}
	return p
}

// centred is the pixel at which n characters start whose middle is to be at (x, y).
func (l *lettering) centred(c *canvas, n int, x, y float64) image.Point {
	if l == nil {
		return image.Point{}
	}
	px, py := c.pixel(x, y)
	return image.Pt(round(px)-l.width(n)/2, round(py)+l.capital/2)
}
