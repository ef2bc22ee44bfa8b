package testcard

import (
	"time"

	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
)

// The readouts are the lettering that changes: the clock, the date and the frame counter.
type readouts struct {
	clock, date, counter *lettering

	text []byte // what is being written, kept for its memory
}

func newReadouts(scale float64) readouts {
	return readouts{
		clock:   newLettering(gomonobold.TTF, 38*scale, 0, "0123456789:."),
		date:    newLettering(gomono.TTF, 13*scale, scale, "0123456789- UTC"),
		counter: newLettering(gomonobold.TTF, 22*scale, 0, "0123456789"),
	}
}

// drawTime writes the time and the date.
func (r *readouts) drawTime(c *canvas, t time.Time) {
	t = t.UTC()
	r.text = t.AppendFormat(r.text[:0], "15:04:05.000")
	const whole = len("15:04:05")
	p := r.clock.centred(c, len(r.text), centreX, 173)
	p = r.clock.write(c, p, r.text[:whole], chalk)
	r.clock.write(c, p, r.text[whole:], foam)

	r.text = t.AppendFormat(r.text[:0], "2006-01-02 UTC")
	r.date.write(c, r.date.centred(c, len(r.text), centreX, 205), r.text, mist)
}

// drawCounter writes the lowest nine digits of n, in three groups: more than a year of frames.
func (r *readouts) drawCounter(c *canvas, n uint64) {
	const shape = "000 000 000"
	r.text = append(r.text[:0], shape...)
	digits := 0 // from the first that is not a leading zero
	for i, v := len(shape)-1, n; i >= 0; i-- {
		if shape[i] == ' ' {
			continue
		}
		if v != 0 || i == len(shape)-1 {
			digits = len(shape) - i
		}
		r.text[i] = byte('0' + v%10)
		v /= 10
	}
	p := r.counter.centred(c, len(r.text), centreX, 286)
	lead := len(shape) - digits
	p = r.counter.write(c, p, r.text[:lead], shade)
	r.counter.write(c, p, r.text[lead:], chalk)
}
