package testcard

import "math"

// The circle of the card is the runner of a Pelton wheel: buckets on its rim, and a jet that comes from the left at its
// lowest point, so that it turns against the clock.
const (
	buckets = 24

	// framesPerBucket is how many frames it takes a bucket to get to where the next one was. At twelve, nobody can
	// mistake the wheel's direction, as one does when it is two or less.
	framesPerBucket = 12
)

// drawWheel draws the buckets as they stand in frame n.
func drawWheel(c *canvas, n uint64) {
	const pitch = 2 * math.Pi / buckets
	turned := pitch * float64(n%framesPerBucket) / framesPerBucket
	for i := range buckets {
		drawBucket(c, math.Pi/2+pitch*float64(i)-turned)
	}
}

// drawBucket draws the bucket that stands at the given angle, clockwise from the x axis: a cup, its hollow to where the
// jet comes from when it is at the bottom.
func drawBucket(c *canvas, angle float64) {
	sin, cos := math.Sincos(angle)
	// at is the place that is r from the wheel's centre and ahead by d, in the direction in which the wheel turns.
	at := func(r, d float64) (x, y float64) {
		return centreX + r*cos + d*sin, centreY + r*sin - d*cos
	}
	mx, my := at((bucketRoot+bucketTip)/2, 0)
	const reach = 13 // from a bucket's middle to its farthest corner, at most

	rootX, rootY := at(bucketRoot-1, -3)
	frontX, frontY := at(bucketRoot-1, 5)
	bellyX, bellyY := at((bucketRoot+bucketTip)/2+3, 13)
	tipX, tipY := at(bucketTip, -5)
	hollowX, hollowY := at((bucketRoot+bucketTip)/2+1, 5)

	c.begin(mx-reach, my-reach, mx+reach, my+reach)
	c.moveTo(rootX, rootY)
	c.lineTo(frontX, frontY)
	c.quadTo(bellyX, bellyY, tipX, tipY)
	c.quadTo(hollowX, hollowY, rootX, rootY)
	c.closePath()
	c.fill(steel)
}
