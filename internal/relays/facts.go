package relays

import (
	"time"

	"github.com/penstock-io/penstock/relay"
)

// facts are what is told of a relay.
type facts struct {
	Key     string `json:"key"` // no other relay has it
	Name    string `json:"name"`
	Listen  string `json:"listen"`          // as it was written
	Address string `json:"address"`         // where that is
	State   string `json:"state"`           // listening; leaving: it accepts no more, but has connections; failed
	Error   string `json:"error,omitempty"` // why it has failed
	Limit   int    `json:"max_connections,omitempty"`
	relay.Stats
}

// The states of a relay.
const (
	listening = "listening"
	leaving   = "leaving"
	failed    = "failed"
)

// key is what it is told of by: where it listens, as that was written, but for the port that the system has chosen.
func (one *running) key() string {
	if place := one.spec.place(); !anyPort(place) {
		return place
	}
	return one.addr.String()
}

func (one *running) facts() facts {
	f := facts{
		Key: one.key(), Name: one.spec.Config.Name, Listen: one.spec.Listen.String(), Address: one.addr.String(),
		State: listening, Limit: one.spec.Config.MaxConns, Stats: one.relay.Stats(),
	}
	switch {
	case !one.gone.IsZero():
		f.State = leaving
	case one.failed != nil:
		f.State, f.Error = failed, one.failed.Error()
	}
	return f
}

// facts returns those of all relays.
func (s *Set) facts() []facts {
	all := []facts{}
	for _, one := range s.all() {
		f := one.facts()
		if s.isDraining() && f.State == listening {
			f.State = leaving
		}
		all = append(all, f)
	}
	return all
}

// pageFacts are what the page gets each second.
type pageFacts struct {
	Relays []facts `json:"relays"`
	connections
	Reload reloadFacts `json:"reload"`
	MayEnd bool        `json:"may_end"` // the page may end connections
}

// reloadFacts tell of the last Config that came.
type reloadFacts struct {
	Error string    `json:"error,omitempty"`
	At    time.Time `json:"at"` // of the last one that was well
}

func (s *Set) pageFacts(mayEnd bool) pageFacts {
	f := pageFacts{Relays: s.facts(), connections: s.fairly(defaultLimit), MayEnd: mayEnd}
	c := s.lastChange()
	if f.Reload.At = c.at; c.failed != nil {
		f.Reload.Error = c.failed.Error()
	}
	return f
}

func (s *Set) lastChange() changes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// Refuse notes that there was a Config that could not even be read.
func (s *Set) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.failed = err
}
