package testcard

import (
	"image"
	"strconv"

	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
)

// The bands inside the circle, from its top to its bottom: each ends where the next begins.
const (
	titleTop   = 30.0
	barsTop    = 80.0
	reverseTop = 126.0
	clockTop   = 140.0
	rampTop    = 220.0
	counterTop = 260.0
	counterEnd = 330.0

	bandsLeft  = centreX - circleRadius
	bandsRight = centreX + circleRadius
)

// drawPlate draws all that never moves.
func drawPlate(c *canvas) {
	c.paint(c.frame, slate)
	drawGrid(c)
	drawArrows(c)
	drawGratings(c)
	drawRace(c)
	drawPipe(c)
	drawGauge(c)
	drawCircle(c)

	title := newLettering(gomonobold.TTF, 29*c.scale, 0, "penstock")
	title.write(c, title.centred(c, len("penstock"), centreX, 60), []byte("penstock"), chalk)

	label := newLettering(gomono.TTF, 10*c.scale, 2*c.scale, "FRAMEx0123456789")
	label.write(c, label.centred(c, len("FRAME"), centreX, 310), []byte("FRAME"), mist)
	size := strconv.Itoa(c.frame.Dx()) + "x" + strconv.Itoa(c.frame.Dy())
	label.write(c, label.centred(c, len(size), 580, 300), []byte(size), mist)
}

// drawGrid rules the whole picture into squares, on the sheet and beyond its edges.
func drawGrid(c *canvas) {
	hair := c.hair()
	x0, y0 := c.pixel(0, 0)
	for i := int(c.left)/square - 1; float64(i*square) <= c.right; i++ {
		x := round(x0 + float64(i*square)*c.scale)
		c.paint(image.Rect(x-hair/2, 0, x-hair/2+hair, c.frame.Max.Y), rule)
	}
	for i := int(c.top)/square - 1; float64(i*square) <= c.bottom; i++ {
		y := round(y0 + float64(i*square)*c.scale)
		c.paint(image.Rect(0, y-hair/2, c.frame.Max.X, y-hair/2+hair), rule)
	}
}

// drawArrows points at the picture's edges: where an arrow lacks its tip, something has cropped the picture.
func drawArrows(c *canvas) {
	const long, wide = 9, 7
	for _, to := range [...]struct{ x, y, dx, dy float64 }{
		{centreX, c.top, 0, 1},
		{c.left, centreY, 1, 0},
		{c.right, centreY, -1, 0},
	} {
		c.begin(to.x-long, to.y-long, to.x+long, to.y+long)
		c.moveTo(to.x, to.y)
		c.lineTo(to.x+long*to.dx-wide*to.dy, to.y+long*to.dy+wide*to.dx)
		c.lineTo(to.x+long*to.dx+wide*to.dy, to.y+long*to.dy-wide*to.dx)
		c.closePath()
		c.fill(chalk)
	}
}

// drawGratings draws five squares of upright lines, 1 to 5 pixels wide whatever the scale: they are there to show
// what a decoder, or a browser that scales, does to single pixels.
func drawGratings(c *canvas) {
	const x, y = 560, 80
	for i := range 5 {
		cell := c.snap(x, float64(y+i*square), x+square, float64(y+(i+1)*square))
		c.paint(cell, coal)
		wide := i + 1
		for px := cell.Min.X; px < cell.Max.X; px += 2 * wide {
			c.paint(image.Rect(px, cell.Min.Y, px+wide, cell.Max.Y).Intersect(cell), chalk)
		}
	}
}

// drawCircle draws the circle and the bands that fill it.
func drawCircle(c *canvas) {
	bands := newCanvas(c.frame.Dx(), c.frame.Dy())
	band := func(y0, y1 float64, inks ...*image.Uniform) {
		wide := (bandsRight - bandsLeft) / float64(len(inks))
		for i, ink := range inks {
			x := bandsLeft + float64(i)*wide
			bands.paint(bands.snap(x, y0, x+wide, y1), ink)
		}
	}
	band(titleTop, barsTop, coal)
	band(barsTop, reverseTop, bars[:]...)
	// The bars that have blue in them, turned about: seen through a blue filter, or in the blue channel alone, each
	// is as bright as its neighbour above when the colours are right.
	black := bars[7]
	band(reverseTop, clockTop, black, bars[6], black, bars[4], black, bars[2], black, bars[0])
	band(clockTop, rampTop, coal)
	const steps = 11
	var greys [steps]*image.Uniform
	for i := range greys {
		level := uint32(255 * i / (steps - 1))
		greys[i] = ink(level<<16 | level<<8 | level)
	}
	band(rampTop, counterTop, greys[:]...)
	band(counterTop, counterEnd, coal)

	c.begin(bandsLeft, titleTop, bandsRight, counterEnd)
	c.circle(centreX, centreY, circleRadius)
	c.outline.Draw(c.img, c.area, bands.img, c.area.Min)

	const outer, inner = circleRadius + circleLine/2, circleRadius - circleLine/2
	c.begin(centreX-outer, centreY-outer, centreX+outer, centreY+outer)
	c.circle(centreX, centreY, outer)
	c.hole(centreX, centreY, inner)
	c.fill(chalk)
}
