package relay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
)

// Info is what is known of a connection from its beginning on.
type Info struct {
	ID     uint64         `json:"id"` // no other connection of any relay of this process has it
	Relay  string         `json:"relay,omitempty"`
	From   netip.AddrPort `json:"from"` // the client, as its PROXY header has it if there is one
	To     netip.AddrPort `json:"to"`   // what it connected to
	Target string         `json:"target,omitempty"`
	Began  time.Time      `json:"began"`
}

// Seconds is a time.Duration, which in JSON is a decimal number of seconds, to the microsecond: 1.586648.
type Seconds time.Duration

// String is that of the time.Duration, to the microsecond: 1.586648s.
func (s Seconds) String() string { return time.Duration(s).Round(time.Microsecond).String() }

// MarshalJSON writes the number, without an exponent.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(s).Round(time.Microsecond).Microseconds())/1e6, 'f', -1, 64), nil
}

// UnmarshalJSON reads a number.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err != nil {
		return err
	}
	*s = Seconds(math.Round(seconds * float64(time.Second)))
	return nil
}

// Record is how a connection stands, or how it was when it is over. Bytes are those that have been delivered.
type Record struct {
	Info
	Ready    Seconds `json:"ready"`    // from its beginning until the target was connected; 0 before
	Elapsed  Seconds `json:"elapsed"`  // from its beginning to its end, or to now
	Forward  int64   `json:"forward"`  // bytes from the client to the target
	Backward int64   `json:"backward"` // and back
	Path     string  `json:"path"`     // the way that they took: forward's, unless only backward has one
	Mirrored int64   `json:"mirrored,omitempty"`
	Lost     int64   `json:"lost,omitempty"` // bytes that a mirror should have had, and has not
	End      string  `json:"end,omitempty"`  // the Termination; empty while it lasts
	Error    string  `json:"error,omitempty"`

	spliced int64 // bytes that did not enter this process
}

// String is a line for a log.
func (r Record) String() string {
	var b strings.Builder
	from := "-" // of a Unix socket, who has no address
	if r.From.IsValid() {
		from = r.From.String()
	}
	fmt.Fprintf(&b, "%d %s", r.ID, from)
	if r.Target != "" {
		fmt.Fprintf(&b, " > %s", r.Target)
	}
	fmt.Fprintf(&b, " %s %d/%d bytes %v/%v", r.End, r.Forward, r.Backward, r.Ready, r.Elapsed)
	if r.Path != "" {
		b.WriteString(" " + r.Path)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, " %d lost to mirrors", r.Lost)
	}
	if r.Error != "" {
		b.WriteString(": " + r.Error)
	}
	return b.String()
}

// counters are those of a Relay.
type counters struct {
	accepted, retried, scarce atomic.Int64

	// Of all connections that are over; guarded by the relay's lock.
	refused              int64
	forward, backward    int64
	spliced              int64
	mirrored, unmirrored int64
	mirrors              mirrorCounters
	ends                 map[Termination]int64
}

// Stats are the counters of a Relay. Those that only go up count what is over, and what is not over as far as it is.
type Stats struct {
	Open     int   `json:"open"`     // connections
	Accepted int64 `json:"accepted"` // connections
	Refused  int64 `json:"refused"`  // of them, by a list or a limit
	Retried  int64 `json:"retried"`  // attempts to connect to a target after one of the same connection that failed
	Scarce   int64 `json:"scarce"`   // times that nothing could be accepted for want of descriptors

	Forward  int64 `json:"forward"`  // bytes from clients to targets
	Backward int64 `json:"backward"` // and back
	Spliced  int64 `json:"spliced"`  // of both, those that did not enter this process
	Mirrored int64 `json:"mirrored"` // bytes that mirrors have had
	Lost     int64 `json:"lost"`     // bytes that mirrors should have had, and have not

	Ends    map[string]int64 `json:"ends"` // connections that are over, by Termination
	Targets []TargetStats    `json:"targets"`
	Mirrors []MirrorStats    `json:"mirrors,omitempty"` // of those that the Config has
}

// TargetStats are the counters of a target.
type TargetStats struct {
	Target string    `json:"target"`
	Open   int       `json:"open"`
	Total  int64     `json:"total"`  // connections, those that could not be made included
	Failed int64     `json:"failed"` // those, and checks that failed
	Up     bool      `json:"up"`
	Since  time.Time `json:"since,omitzero"` // it is down
	Error  string    `json:"error,omitempty"`
}

// Stats returns the counters as they are now.
func (r *Relay) Stats() Stats {
	s := r.statsOfConnections()
	ts := r.config.Load().targets
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.all {
		one := TargetStats{Target: t.Address, Open: t.conns, Total: t.total, Failed: t.failed, Up: t.down == nil}
		if t.down != nil {
			one.Since, one.Error = t.since, causeOf(t.down).Error()
		}
		s.Targets = append(s.Targets, one)
	}
	return s
}

// statsOfConnections counts each connection once, as one that is open or as one that is over, so that no counter ever
// goes back.
func (r *Relay) statsOfConnections() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.counters
	s := Stats{
		Accepted: c.accepted.Load(), Refused: c.refused, Retried: c.retried.Load(), Scarce: c.scarce.Load(),
		Forward: c.forward, Backward: c.backward, Spliced: c.spliced,
		Mirrored: c.mirrored, Lost: c.unmirrored, Ends: make(map[string]int64, len(c.ends)),
	}
	for end, n := range c.ends {
		s.Ends[end.String()] = n
	}
	mirrors := maps.Clone(c.mirrors)
	for _, one := range r.conns {
		if one.counted {
			continue
		}
		rec := one.recordLocked(mirrors)
		s.Open++
		s.Forward += rec.Forward
		s.Backward += rec.Backward
		s.Mirrored += rec.Mirrored
		s.Lost += rec.Lost
		s.Spliced += rec.spliced
	}
	s.Mirrors = mirrors.of(r.config.Load().Mirrors)
	return s
}

// Open counts the connections.
func (r *Relay) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.openLocked())
}

// openLocked returns the numbers of the connections that are not over, in no order.
func (r *Relay) openLocked() []uint64 {
	ids := make([]uint64, 0, len(r.conns))
	for id, c := range r.conns {
		if !c.counted {
			ids = append(ids, id)
		}
	}
	return ids
}

// Connections returns how each connection stands.
func (r *Relay) Connections() []Record {
	all, _ := r.Newest(0)
	return all
}

// Newest returns how the n connections stand that came last, the last one first, or all if n is 0; and how many are
// open.
func (r *Relay) Newest(n int) (newest []Record, open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := r.openLocked()
	open = len(ids)
	slices.SortFunc(ids, func(a, b uint64) int { return cmp.Compare(b, a) })
	if n > 0 {
		ids = ids[:min(n, open)]
	}
	newest = make([]Record, len(ids))
	for i, id := range ids {
		newest[i] = r.conns[id].recordLocked(nil)
	}
	return newest, open
}

func (c *conn) info() Info {
	i := Info{ID: c.id, Relay: c.c.Name, From: c.from, To: c.to, Began: c.began}
	if c.target != nil {
		i.Target = c.target.Address
	}
	return i
}

// recordLocked tells how the connection stands, and adds what each mirror has of it to the counters, unless they are nil.
// The relay's lock is held.
func (c *conn) recordLocked(by mirrorCounters) Record {
	r := Record{Info: c.info(), Ready: Seconds(c.ready), Elapsed: Seconds(c.lasted)}
	if !c.parted {
		r.Elapsed = Seconds(time.Since(c.began))
	}
	if !c.moving {
		return r
	}
	forward, backward := c.both.Report()
	r.add(forward, backward)
	for _, m := range c.mirrors {
		delivered, lost := m.got(forward, backward, c.counted)
		r.Mirrored += delivered
		r.Lost += lost
		if by != nil {
			by.add(MirrorStats{Mirror: m.mirror.Name, Delivered: delivered, Lost: lost})
		}
	}
	return r
}

func (r *Record) add(forward, backward penstock.Report) {
	r.Forward, r.Backward = forward.Delivered, backward.Delivered
	if r.Path = string(forward.Path); forward.Delivered == 0 {
		r.Path = string(backward.Path)
	}
	for _, rep := range []*penstock.Report{&forward, &backward} {
		r.spliced += rep.By(penstock.PathSplice) + rep.By(penstock.PathTeeSplice)
	}
}

// over counts a connection that has ended, and tells of it.
func (c *conn) over(end Termination, err error) {
	rec := c.count(end)
	if err != nil {
		rec.Error = err.Error()
	}
	if f := c.c.Access; f != nil {
		f(rec)
	}
}

// count moves a connection from those that are open to the counters.
func (c *conn) count(end Termination) Record {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.counted = true
	rec := c.recordLocked(c.r.counters.mirrors)
	rec.End = end.String()
	n := &c.r.counters
	n.ends[end]++
	if end == (Termination{byProxy, inHello}) {
		n.refused++
	}
	n.forward += rec.Forward
	n.backward += rec.Backward
	n.mirrored += rec.Mirrored
	n.unmirrored += rec.Lost
	n.spliced += rec.spliced
	return rec
}
