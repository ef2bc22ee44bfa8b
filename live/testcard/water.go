package testcard

import "math"

// What flows in the pipe: a packet for every six frames. A Pelton wheel yields most when its buckets run at half the
// speed of the jet, and this one's do: a packet covers in six frames what a bucket covers in twelve.
const (
	framesPerPacket = framesPerBucket / 2

	packetGap    = 2 * math.Pi * (bucketRoot + bucketTip) / 2 / buckets // between the fronts of two
	packetLength = 24.0
	packetHalf   = 3.0 // from its middle line to where it is widest
)

// jetEnd is where the wheel meets the jet.
const jetEnd = centreX + 4

// drawPackets draws the jet, and the packets in it and in the pipe.
func drawPackets(c *canvas, n uint64) {
	c.begin(nozzle, jetY-nozzleIn, jetEnd, jetY+nozzleIn)
	c.moveTo(nozzle, jetY-nozzleIn)
	c.lineTo(jetEnd, jetY-1)
	c.lineTo(jetEnd, jetY+1)
	c.lineTo(nozzle, jetY+nozzleIn)
	c.closePath()
	c.fill(stream)

	const last = jetEnd - bendX + bend*math.Pi/2 - packetLength // along the pipe
	flowed := packetGap * float64(n%framesPerPacket) / framesPerPacket
	for s := last - packetGap + flowed; s > c.top-bendY-packetLength; s -= packetGap {
		drawPacket(c, s)
	}
}

// drawPacket draws the packet whose tail is at s along the pipe's middle line: a drop, pointed at both ends.
func drawPacket(c *canvas, s float64) {
	const steps = 8
	x0, y0, _, _ := along(s)
	x1, y1, _, _ := along(s + packetLength)
	c.begin(min(x0, x1)-packetHalf, min(y0, y1)-packetHalf, max(x0, x1)+packetHalf, max(y0, y1)+packetHalf)
	side := func(i int, sign float64) {
		u := float64(i) / steps
		x, y, dx, dy := along(s + u*packetLength)
		w := sign * packetHalf * math.Sqrt(math.Sin(math.Pi*u))
		c.lineTo(x-w*dy, y+w*dx)
	}
	c.moveTo(x0, y0)
	for i := 1; i <= steps; i++ {
		side(i, 1)
	}
	for i := steps - 1; i >= 1; i-- {
		side(i, -1)
	}
	c.closePath()
	c.fill(foam)
}

// drawSpray draws the drops that the buckets throw off the jet.
func drawSpray(c *canvas, n uint64) {
	const drops = 6
	for i := range uint64(drops) {
		// Each flies for twelve frames along a parabola of its own; they take off two frames after each other.
		u := float64((n+2*i)%framesPerBucket) / framesPerBucket
		reach, rise := 26+9*float64(i*7%5), 9+4*float64(i*5%3)
		x, y := jetEnd+8+reach*u, raceLevel-4*rise*u*(1-u)
		drawDisc(c, x, y, 2.4-u, foam)
	}
}
