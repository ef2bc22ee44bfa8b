package testcard

import "math"

// Two hands tell the time without being read. They go by the clock and not by the frame: when pictures are held up they
// halt, and leap when the pictures come back.

// The gauge on the pipe: its hand goes round once a second.
const (
	gaugeX, gaugeY = 112.0, 140.0
	gaugeRadius    = 25.0
	gaugeHand      = 18.0
)

// beadRadius is that of the bead on the circle, which goes round once a minute.
const beadRadius = 6.0

// drawGauge draws the gauge without its hand.
func drawGauge(c *canvas) {
	c.paint(c.snap(pipeX+pipeOut, gaugeY-3, gaugeX-gaugeRadius+2, gaugeY+3), girder)
	drawDisc(c, gaugeX, gaugeY, gaugeRadius+2, slate)
	drawDisc(c, gaugeX, gaugeY, gaugeRadius, steel)
	drawDisc(c, gaugeX, gaugeY, gaugeRadius-3, coal)
	for i := range 10 {
		long := 3.0
		if i%5 == 0 {
			long = 5
		}
		drawSpoke(c, gaugeX, gaugeY, float64(i)/10, gaugeRadius-5-long, gaugeRadius-5, 0.6, 0.6)
		c.fill(mist)
	}
}

// drawGaugeHand draws the hand, turned by part of a whole turn.
func drawGaugeHand(c *canvas, part float64) {
	drawSpoke(c, gaugeX, gaugeY, part, -5, gaugeHand, 1.8, 0.5)
	c.fill(amber)
	drawDisc(c, gaugeX, gaugeY, 3, amber)
}

// drawBead draws the bead, part of a whole turn from the circle's top, clockwise.
func drawBead(c *canvas, part float64) {
	sin, cos := math.Sincos(2 * math.Pi * part)
	x, y := centreX+circleRadius*sin, centreY-circleRadius*cos
	drawDisc(c, x, y, beadRadius+2, slate)
	drawDisc(c, x, y, beadRadius, amber)
}

// drawSpoke outlines a spoke of a dial around (x, y), turned by part of a whole turn from upright, clockwise: from one
// radius to another, and from one half width to another. The caller fills it.
func drawSpoke(c *canvas, x, y, part, from, to, halfFrom, halfTo float64) {
	sin, cos := math.Sincos(2 * math.Pi * part)
	reach := max(math.Abs(from), math.Abs(to)) + max(halfFrom, halfTo)
	at := func(r, side float64) (float64, float64) { return x + r*sin + side*cos, y - r*cos + side*sin }
	c.begin(x-reach, y-reach, x+reach, y+reach)
	c.moveTo(at(from, -halfFrom))
	c.lineTo(at(to, -halfTo))
	c.lineTo(at(to, halfTo))
	c.lineTo(at(from, halfFrom))
	c.closePath()
}
