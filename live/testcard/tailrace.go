package testcard

import (
	"image"
	"math"
)

// The tailrace: the channel in which the water leaves, to the right and out of the picture, when it has done its work.
const (
	raceWall  = 284.0 // where it begins
	raceLevel = 347.0 // the mean level of the surface
	raceStill = 359.0 // from here down, nothing is seen to move
	raceBed   = 368.0 // below the sheet: only a picture taller than 16:9 shows it

	swell         = 2.0 // the height of a wave above the mean
	waveLength    = 64.0
	framesPerWave = 25
)

// drawRace draws the channel and its still water.
func drawRace(c *canvas) {
	const thick = 4
	c.paint(c.snap(raceWall-thick, raceLevel-thick, raceWall, raceBed+thick), girder)
	c.paint(c.snap(raceWall, raceBed, c.right, raceBed+thick), girder)
	c.paint(c.snap(raceWall, raceLevel, c.right, raceBed), depth)
}

// drawWaves draws the surface, with waves that run to the right.
func drawWaves(c *canvas, n uint64) {
	phase := float64(n%framesPerWave) / framesPerWave
	drawSurface(c, phase, 0, raceStill-2, foam)
	drawSurface(c, phase, 1.6, raceStill-2, stream)
	drawSurface(c, phase+0.35, 6, raceStill, depth)
}

// drawSurface fills the water from under below the surface down to bottom.
func drawSurface(c *canvas, phase, under, bottom float64, ink *image.Uniform) {
	const step, calm = 8, 60 // no waves at the wall, all of them that far from it
	c.begin(raceWall, raceLevel-swell+under, c.right, bottom)
	c.moveTo(c.right, bottom)
	c.lineTo(raceWall, bottom)
	for x := raceWall; x < c.right+step; x += step {
		high := swell * min(1, (x-raceWall)/calm)
		c.lineTo(x, raceLevel+under-high*math.Sin(2*math.Pi*(x/waveLength-phase)))
	}
	c.closePath()
	c.fill(ink)
}
