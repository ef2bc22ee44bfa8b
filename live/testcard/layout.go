package testcard

import (
	"image"
	"math"
)

// The card is designed on a sheet of 640 by 360 units, 16 by 9 squares of the grid. Every coordinate in this package
// that is not called a pixel is in these units: x to the right, y down.
const (
	sheetWidth  = 640
	sheetHeight = 360
	square      = 40
)

// The circle, whose centre is the centre of the sheet, and the wheel that turns around it.
const (
	centreX = sheetWidth / 2
	centreY = sheetHeight / 2

	circleRadius = 150.0 // to the middle of its line
	circleLine   = 3.0
	bucketRoot   = 153.0 // where a bucket leaves the circle
	bucketTip    = 169.0
)

// A layout maps the sheet onto a picture: scaled as a whole so that all of it shows, and centred. A picture of another
// shape than 16:9 shows what lies beyond the edge of the sheet: more grid, more pipe, more water.
type layout struct {
	frame  image.Rectangle // the picture, in pixels; Min is the origin
	scale  float64         // pixels per unit
	dx, dy float64         // the sheet's corner, in pixels

	// The picture's edges, in units: 0, 0, 640 and 360 for a picture of 16:9.
	left, top, right, bottom float64
}

func newLayout(width, height int) layout {
	l := layout{frame: image.Rect(0, 0, width, height)}
	w, h := float64(width), float64(height)
	l.scale = min(w/sheetWidth, h/sheetHeight)
	l.dx, l.dy = (w-sheetWidth*l.scale)/2, (h-sheetHeight*l.scale)/2
	l.left, l.top = -l.dx/l.scale, -l.dy/l.scale
	l.right, l.bottom = sheetWidth-l.left, sheetHeight-l.top
	return l
}

// pixel is the place of (x, y) in the picture, between pixels.
func (l *layout) pixel(x, y float64) (px, py float64) {
	return l.dx + x*l.scale, l.dy + y*l.scale
}

// snap is the rectangle rounded to whole pixels: for edges that should be crisp, and that meet their neighbour's
// exactly.
func (l *layout) snap(x0, y0, x1, y1 float64) image.Rectangle {
	ax, ay := l.pixel(x0, y0)
	bx, by := l.pixel(x1, y1)
	return image.Rect(round(ax), round(ay), round(bx), round(by)).Intersect(l.frame)
}

// cover is the least rectangle of whole pixels that holds all of the given one.
func (l *layout) cover(x0, y0, x1, y1 float64) image.Rectangle {
	ax, ay := l.pixel(x0, y0)
	bx, by := l.pixel(x1, y1)
	r := image.Rect(int(math.Floor(ax)), int(math.Floor(ay)), int(math.Ceil(bx)), int(math.Ceil(by)))
	return r.Intersect(l.frame)
}

// hair is the width in pixels of a line that is one unit wide, and never less than one pixel.
func (l *layout) hair() int { return max(1, round(l.scale)) }

func round(v float64) int { return int(math.Round(v)) }
