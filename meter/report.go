package meter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Report is how all transfers stand, for programs: an object of [JSON], and what [Display.Report] returns. Times
// are in seconds, rates in bytes per second.
type Report struct {
	Name    string   `json:"name,omitempty"`
	Elapsed float64  `json:"elapsed"` // of the one that has taken longest
	Outputs []Output `json:"outputs"`
	Ended   bool     `json:"ended"` // this is the last one
}

// Output is how the transfer to one destination stands.
type Output struct {
	Name       string   `json:"name"`
	Bytes      int64    `json:"bytes"`
	Before     int64    `json:"before,omitempty"` // were there already; Bytes are without them
	Size       *int64   `json:"size"`             // with those before; null if not known
	Percent    *int     `json:"percent"`          // null if the size is not known
	Elapsed    float64  `json:"elapsed"`
	Rate       float64  `json:"rate"`
	Average    float64  `json:"average"`
	ETA        *float64 `json:"eta"` // until it is over; null if that cannot be told
	Stalled    string   `json:"stalled,omitempty"`
	StalledFor float64  `json:"stalled_for,omitempty"`
	Path       string   `json:"path,omitempty"`
	Note       string   `json:"note,omitempty"`
	Ended      bool     `json:"ended"`
}

func reportOf(name string, all []figures, ended bool) Report {
	r := Report{Name: name, Outputs: make([]Output, len(all)), Ended: ended}
	for i, f := range all {
		o := Output{
			Name: f.Name, Bytes: f.Bytes, Before: f.Before, Elapsed: f.Elapsed.Seconds(),
			Rate: f.rate, Average: f.average, Stalled: f.Stalled, StalledFor: f.StalledFor.Seconds(),
			Path: f.Path, Note: f.Note, Ended: f.Ended,
		}
		if n, known := f.percent(); known {
			o.Size, o.Percent = &f.Total, &n
		}
		if f.left >= 0 {
			left := f.left.Seconds()
			o.ETA = &left
		}
		r.Outputs[i] = o
		r.Elapsed = max(r.Elapsed, o.Elapsed)
	}
	return r
}

// object is a value as JSON on a line of its own. Names of this package's types always have one.
func object(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // an address has "&" in it
	if err := e.Encode(v); err != nil {
		panic("meter: " + err.Error())
	}
	return b.Bytes()
}

// numeric is pv -n's line: a percentage, or bytes if asked for or the size is not known; with the time in front if
// asked for, and the rate behind. Of several transfers it is the one that has got least far of those that still
// run, or, at the end, furthest: one that has failed does not hold the others' figure up.
func numeric(all []figures, p Parts) string {
	if len(all) == 0 {
		return ""
	}
	least := all[0]
	for _, f := range all[1:] {
		switch {
		case least.Ended != f.Ended:
			if least.Ended {
				least = f
			}
		case f.Ended == (f.here() > least.here()):
			least = f
		}
	}
	line := ""
	if p&Timer != 0 {
		line = fmt.Sprintf("%.4f ", least.Elapsed.Seconds())
	}
	if n, known := least.percent(); known && p&Bytes == 0 {
		line += fmt.Sprint(min(n, 100)) // who reads it draws a gauge
	} else {
		line += fmt.Sprint(least.here())
	}
	if p&Rate != 0 {
		line += fmt.Sprintf(" %.4f", least.rate)
	}
	return line
}

// since takes what was before the first byte off the elapsed time.
func since(s State, late time.Duration) State {
	s.Elapsed = max(s.Elapsed-late, 0)
	return s
}
