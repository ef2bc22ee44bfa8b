package meter

import "time"

const (
	window  = 30 * time.Second      // what the time left is estimated by; pv's
	nearest = 50 * time.Millisecond // two samples that are closer say little of a rate
)

// rates knows one transfer's past. The zero rates have none.
type rates struct {
	samples []sample // of the last 30 s and one before; the newest is what the next one is compared with
	rate    float64  // bytes per second between the two newest
	swing   int      // where the bar stands that goes to and fro, of 200
}

type sample struct {
	at    time.Duration
	bytes int64
}

// figures are a State with what its past adds to it. Rates are in bytes per second.
type figures struct {
	State
	rate    float64 // over the last interval; at the end, and if there was none yet, of all
	average float64
	left    time.Duration // until it is over, -1 if that cannot be told
	swing   int
}

// observe adds a state to what is known. One that comes too soon after another does not change the rate.
func (r *rates) observe(s State) figures {
	if len(r.samples) == 0 {
		r.samples = append(r.samples, sample{})
	}
	last := r.samples[len(r.samples)-1]
	if took := s.Elapsed - last.at; took >= nearest {
		r.rate = max(float64(s.Bytes-last.bytes)/took.Seconds(), 0)
		if s.Bytes > last.bytes {
			r.swing = (r.swing + 2) % 200
		}
		r.samples = append(r.samples, sample{s.Elapsed, s.Bytes})
		for len(r.samples) > 2 && r.samples[1].at <= s.Elapsed-window {
			r.samples = r.samples[1:]
		}
	}
	f := figures{State: s, rate: r.rate, left: -1, swing: r.swing}
	if s.Elapsed > 0 {
		f.average = float64(s.Bytes) / s.Elapsed.Seconds()
	}
	if s.Ended || len(r.samples) == 1 {
		f.rate = f.average
	}
	first := r.samples[0]
	if took := s.Elapsed - first.at; took > 0 && s.Bytes > first.bytes && s.Total >= 0 && !s.Ended {
		smooth := float64(s.Bytes-first.bytes) / took.Seconds()
		seconds := float64(max(s.Total-s.here(), 0)) / smooth
		if seconds <= 360_000_000 { // more is no estimate; pv's bound
			f.left = time.Duration(seconds * float64(time.Second))
		}
	}
	return f
}
