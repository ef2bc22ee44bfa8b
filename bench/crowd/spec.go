package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/penstock-io/penstock/bench/internal/role"
)

// A run is several processes: this one, which only asks, the server, and three re-executions of this one's binary at
// most:
//
//	publisher ─tcp→ server ─tcp→ viewers
//	                       ─tcp→ bad viewers
//
// where the server is one more re-execution, or a program of its own, whose CPU time and memory /proc tells. Each role
// takes a spec on standard input and answers in JSON on standard output.

// spec is one run.
type spec struct {
	Kind    string // of server
	Viewers int
	Rate    int // of the stream, in bytes per second
	Message int // bytes
	Parse   int // one viewer in so many reads and checks its stream
	Ramp    int // viewers that connect in a second
	For     time.Duration
	// RampWithin is how long to wait for all viewers; the run goes on with those that have joined.
	RampWithin time.Duration
	Bad        bool // there are bad viewers besides

	// What the server adds.
	Publish, Watch               string // addresses
	PublishRequest, WatchRequest string
	PublishAnswer                bool // the publisher is answered before it sends
}

// every is the time from one message to the next.
func (s spec) every() time.Duration {
	return time.Duration(float64(s.Message) / float64(s.Rate) * float64(time.Second))
}

var roles = map[string]func(spec, *json.Decoder, *json.Encoder) error{
	"server":    playServer,
	"publisher": playPublisher,
	"viewers":   playViewers,
	"bad":       playBad,
}

// playRole runs the role that this process was started for.
func playRole(name string) error {
	play := roles[name]
	if play == nil {
		return fmt.Errorf("unknown role %q", name)
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var s spec
	if err := in.Decode(&s); err != nil {
		return err
	}
	if name != "viewers" { // which are asked more
		go func() {
			err := in.Decode(new(string)) // nothing: it is the end of whoever started this, however that came
			role.Exit(name, fmt.Errorf("nobody asks any more: %w", err))
		}()
	}
	return play(s, in, out)
}
