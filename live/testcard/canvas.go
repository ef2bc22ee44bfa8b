package testcard

import (
	"image"
	"image/draw"
	"math"

	"golang.org/x/image/vector"
)

// A canvas is the picture, drawn in two phases. Until freeze, what is drawn stays. From then on it is drawn over the
// frozen plate, and wipe takes it off again, at the cost of what was touched and not of the whole picture.
type canvas struct {
	layout
	img *image.RGBA

	// Invariant, from freeze on: img equals plate outside touched.
	plate   *image.RGBA
	touched []image.Rectangle // in pixels, inside the picture, none empty

	// The shape being outlined between begin and fill, and the pixels that it may cover.
	outline vector.Rasterizer
	area    image.Rectangle
}

func newCanvas(width, height int) *canvas {
	l := newLayout(width, height)
	return &canvas{layout: l, img: image.NewRGBA(l.frame)}
}

// freeze makes what has been drawn so far the plate.
func (c *canvas) freeze() {
	c.plate = image.NewRGBA(c.frame)
	copy(c.plate.Pix, c.img.Pix)
	c.touched = c.touched[:0]
}

// wipe restores the plate.
func (c *canvas) wipe() {
	for _, r := range c.touched {
		draw.Draw(c.img, r, c.plate, r.Min, draw.Src)
	}
	c.touched = c.touched[:0]
}

func (c *canvas) touch(r image.Rectangle) { c.touched = append(c.touched, r) }

// paint fills whole pixels.
func (c *canvas) paint(r image.Rectangle, ink *image.Uniform) {
	if r = r.Intersect(c.frame); r.Empty() {
		return
	}
	c.touch(r)
	draw.Draw(c.img, r, ink, image.Point{}, draw.Src)
}

// stencil lays ink through mask, the mask's origin at the pixel p.
func (c *canvas) stencil(p image.Point, mask *image.Alpha, ink *image.Uniform) {
	r := mask.Rect.Add(p).Intersect(c.frame)
	if r.Empty() {
		return
	}
	c.touch(r)
	draw.DrawMask(c.img, r, ink, image.Point{}, mask, r.Min.Sub(p), draw.Over)
}

// begin starts an outline. What sticks out of the box, which is in units, is cut off. The work is proportional to the
// area of the box and not to that of the outline.
func (c *canvas) begin(x0, y0, x1, y1 float64) {
	c.area = c.cover(x0, y0, x1, y1)
	c.outline.Reset(c.area.Dx(), c.area.Dy())
}

// fill lays ink inside the outline, with smooth edges.
func (c *canvas) fill(ink *image.Uniform) {
	if c.area.Empty() {
		return
	}
	c.touch(c.area)
	c.outline.Draw(c.img, c.area, ink, image.Point{})
}

func (c *canvas) moveTo(x, y float64) { c.outline.MoveTo(c.local(x, y)) }
func (c *canvas) lineTo(x, y float64) { c.outline.LineTo(c.local(x, y)) }
func (c *canvas) closePath()          { c.outline.ClosePath() }

func (c *canvas) quadTo(x1, y1, x2, y2 float64) {
	bx, by := c.local(x1, y1)
	cx, cy := c.local(x2, y2)
	c.outline.QuadTo(bx, by, cx, cy)
}

// arc continues the outline around (x, y) from angle a to angle b: in radians from the x axis, clockwise on the screen.
func (c *canvas) arc(x, y, radius, a, b float64) {
	n := max(1, int(math.Ceil(math.Abs(b-a)*math.Sqrt(radius*c.scale))))
	for i := range n + 1 {
		sin, cos := math.Sincos(a + (b-a)*float64(i)/float64(n))
		c.lineTo(x+radius*cos, y+radius*sin)
	}
}

// circle adds a whole circle to the outline.
func (c *canvas) circle(x, y, radius float64) {
	c.moveTo(x+radius, y)
	c.arc(x, y, radius, 0, 2*math.Pi)
	c.closePath()
}

// hole adds a circle in the other direction, which leaves it out of a circle around it.
func (c *canvas) hole(x, y, radius float64) {
	c.moveTo(x+radius, y)
	c.arc(x, y, radius, 0, -2*math.Pi)
	c.closePath()
}

// local is the place of (x, y) in the outline's area.
func (c *canvas) local(x, y float64) (lx, ly float32) {
	px, py := c.pixel(x, y)
	return float32(px - float64(c.area.Min.X)), float32(py - float64(c.area.Min.Y))
}

// drawDisc fills a circle.
func drawDisc(c *canvas, x, y, radius float64, ink *image.Uniform) {
	c.begin(x-radius, y-radius, x+radius, y+radius)
	c.circle(x, y, radius)
	c.fill(ink)
}
