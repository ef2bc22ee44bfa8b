package testcard

import (
	"image"
	"math"
)

// The penstock: the pipe falls from above the picture, bends, and ends in a nozzle under the wheel.
const (
	pipeX = 60.0  // the middle of the falling part
	jetY  = 340.0 // the middle of the level part, and of the jet

	bend  = 40.0 // radius of the middle line
	bendX = pipeX + bend
	bendY = jetY - bend

	taper  = 204.0 // where the nozzle begins to narrow
	nozzle = 238.0 // where it ends

	// From the middle line to the outside and to the inside, along the pipe and at the nozzle's end.
	pipeOut, nozzleOut = 12.0, 6.0
	pipeIn, nozzleIn   = 9.0, 4.0
)

// drawPipe draws the pipe and the water at rest in it.
func drawPipe(c *canvas) {
	drawTube(c, pipeOut+2, nozzleOut+2, slate) // a gap in the grid behind it
	drawTube(c, pipeOut, nozzleOut, steel)
	drawTube(c, pipeIn, nozzleIn, depth)
	for y := bendY - square/2; y > c.top-square; y -= 2 * square {
		c.paint(c.snap(pipeX-pipeOut-4, y-3, pipeX-pipeIn, y+3), girder)
		c.paint(c.snap(pipeX+pipeIn, y-3, pipeX+pipeOut+4, y+3), girder)
	}
	for x := bendX + square/2; x < taper; x += 2 * square {
		c.paint(c.snap(x-3, jetY-pipeOut-4, x+3, jetY-pipeIn), girder)
		c.paint(c.snap(x-3, jetY+pipeIn, x+3, jetY+pipeOut+4), girder)
	}
}

// drawTube fills what is within half of the pipe's middle line, and within end of it at the nozzle's end.
func drawTube(c *canvas, half, end float64, ink *image.Uniform) {
	c.begin(pipeX-half, c.top, nozzle, jetY+half)
	c.moveTo(pipeX-half, c.top)
	c.arc(bendX, bendY, bend+half, math.Pi, math.Pi/2)
	c.lineTo(taper, jetY+half)
	c.lineTo(nozzle, jetY+end)
	c.lineTo(nozzle, jetY-end)
	c.lineTo(taper, jetY-half)
	c.arc(bendX, bendY, bend-half, math.Pi/2, math.Pi)
	c.lineTo(pipeX+half, c.top)
	c.closePath()
	c.fill(ink)
}

// along is the place that is s further down the pipe's middle line than the bend's beginning (above it when s is
// negative), and the direction of the line there.
func along(s float64) (x, y, dx, dy float64) {
	const around = bend * math.Pi / 2
	switch {
	case s < 0:
		return pipeX, bendY + s, 0, 1
	case s < around:
		sin, cos := math.Sincos(s / bend)
		return bendX - bend*cos, bendY + bend*sin, sin, cos
	default:
		return bendX + s - around, jetY, 1, 0
	}
}
