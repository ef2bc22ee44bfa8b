package meter

import "time"

// State is how a transfer to one destination stands. Of a transfer that is over, Elapsed stands still.
type State struct {
	Name    string        // the destination, shown where there are several; whatever it holds is made harmless
	Bytes   int64         // moved so far
	Before  int64         // bytes that were there before, of a transfer that is resumed: they count for all but the rates
	Total   int64         // bytes that there will be with those before, -1 if that is not known
	Elapsed time.Duration // since it began

	Stalled    string        // what holds it up: "source", "destination", RateLimit, or "" if nothing does
	StalledFor time.Duration // and for how long; only what is over a second is shown

	Path  string // the way that the bytes take
	Note  string // what has become of it: "done", "skipped 1.2MiB", "failed: connection reset by peer"
	Ended bool   // there will be no more
}

// RateLimit is the Stalled of a transfer that is held up on purpose.
const RateLimit = "rate limit"

// Parts are what a line may consist of, by pv's letters. Name, note, stall and path are shown whatever they are.
type Parts uint8

// The parts, in the order in which they are shown. The zero Parts are all but FinETA.
const (
	Bytes   Parts = 1 << iota // -b
	Timer                     // -t: the time elapsed
	Rate                      // -r: over the last interval; at the end, of all
	Average                   // -a: from the beginning on
	Bar                       // -p: with a percentage, or going to and fro where the size is not known
	ETA                       // -e: the time left, where the size is known
	FinETA                    // -I: when it will be over
)

func (p Parts) orDefault() Parts {
	if p == 0 {
		return Bytes | Timer | Rate | Average | Bar | ETA
	}
	return p
}

// here is where the transfer stands, with what was there before.
func (s *State) here() int64 { return s.Before + s.Bytes }

// percent is rounded down, and is 100 only once all is there. It may be more, where there is more than had been said.
func (s *State) percent() (n int, known bool) {
	switch here := s.here(); {
	case s.Total < 0:
		return 0, false
	case s.Total == 0:
		return 100, true
	case here < s.Total: // a quotient of what is large may be rounded up
		return min(int(float64(here)/float64(s.Total)*100), 99), true
	default:
		return int(float64(here) / float64(s.Total) * 100), true
	}
}
