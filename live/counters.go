package live

import (
	"maps"

	"github.com/penstock-io/penstock/hub"
)

// counters are a stream's, of all the hubs that it has had. The zero counters are ready for use.
type counters struct {
	BytesIn  int64            `json:"bytes_in"`
	BytesOut int64            `json:"bytes_out"` // to viewers; the recording is not one
	By       map[string]int64 `json:"by"`        // of these, by path
	Calls    int64            `json:"calls"`     // to the system, for what came in and went out
	Stalls   int64            `json:"stalls"`    // times that a viewer took nothing at once
	Skips    int64            `json:"skips"`     // times that a viewer missed something
	Skipped  int64            `json:"skipped_bytes"`
	Left     map[string]int64 `json:"left"` // viewers that have left, by the reason
}

// mostReasons is how many reasons are told apart over all hubs; each of them has a bound as well.
const mostReasons = 32

// clone returns a copy of c, in which no map is nil.
func (c *counters) clone() counters {
	d := *c
	d.By, d.Left = make(map[string]int64), make(map[string]int64)
	maps.Copy(d.By, c.By)
	maps.Copy(d.Left, c.Left)
	return d
}

// add counts a hub in.
func (c *counters) add(s hub.Stats) {
	if c.By == nil {
		c.By, c.Left = make(map[string]int64), make(map[string]int64)
	}
	c.BytesIn += s.BytesIn
	c.BytesOut += s.BytesOut
	c.Calls += s.Calls
	c.Stalls += s.Stalls
	c.Skips += s.Skips
	c.Skipped += s.Skipped
	for _, b := range s.By {
		c.By[string(b.Path)] += b.Bytes
	}
	for _, r := range s.Left {
		why := r.Why
		if _, known := c.Left[why]; !known && len(c.Left) >= mostReasons {
			why = "other"
		}
		c.Left[why] += r.N
	}
}
