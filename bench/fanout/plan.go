package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// fewestMessages is how many messages a run at a pace has at least, however seldom they are.
const fewestMessages = 8

// plan returns a spec for every way to arrive and every number of viewers, of which size is the bytes to deliver, 0 for
// enough.
func plan(common runSpec, arrivals, numbers string, offer, seconds float64, size int64) (specs []runSpec, err error) {
	for way := range strings.SplitSeq(arrivals, ",") {
		s := common
		if s.Message, err = parseArrivals(way); err != nil {
			return nil, err
		}
		for text := range strings.SplitSeq(numbers, ",") {
			if s.Viewers, err = strconv.Atoi(text); err != nil || s.Viewers < 1 {
				return nil, fmt.Errorf("-n: %q is not a number of viewers", text)
			}
			s.Every = every(s.Message, s.Viewers, offer)
			s.Size = s.streamBytes(size, seconds)
			if s.Record != "" && s.Size > mostRecorded {
				return nil, fmt.Errorf("-bytes: to record %d is too much: %.0f at most, for each viewer", s.Size, float64(mostRecorded))
			}
			specs = append(specs, s)
		}
	}
	return specs, nil
}

// streamBytes is the length of the stream: whole messages, and if nothing is asked for so many that a run takes a second
// or two and the sockets' buffers hold a small part of it, or, at a pace, as long as is asked for.
func (s runSpec) streamBytes(delivered int64, seconds float64) int64 {
	each := delivered / int64(s.Viewers)
	switch {
	case delivered > 0:
	case s.paced():
		messages := max(int64(math.Ceil(seconds/s.Every.Seconds())), fewestMessages)
		return messages * int64(s.Message)
	default:
		each = s.enough() / int64(s.Viewers)
	}
	if s.Message > 0 {
		each = max(each/int64(s.Message), 1) * int64(s.Message)
	}
	return each
}

// enough is how much to deliver as fast as can be.
func (s runSpec) enough() int64 {
	const (
		verified = 400e6
		slow     = 64 * kib // messages below this are mostly calls
	)
	switch {
	case s.Send == "pattern":
		return verified
	case s.Message > 0 && s.Message < slow:
		return min(int64(s.Message)*500_000, 4e9)
	case s.Record != "":
		return int64(min(2, s.Viewers)) * 2e9
	case s.Viewers < 4:
		return 8e9
	case s.Viewers < 256:
		return 16e9
	}
	return 32e9 // so many sockets hold gigabytes
}

// title is a table's.
func (s runSpec) title() string {
	t := fmt.Sprintf("N = %d", s.Viewers)
	if s.Message > 0 {
		t += ", " + s.arrivals()
	}
	return t
}
