package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// How publishers behave.
const (
	shortest, longest = 3 * time.Second, 20 * time.Second // of a publication
	beat              = 200 * time.Millisecond            // between pieces, at most
	piece             = 12 << 10                          // bytes, at most; in a burst
	burst             = 5 << 20                           // so many, which is more than the ring holds,
	burstOf           = 300                               // once in so many pieces,
	burstPiece        = 32 << 10                          // all at once or so many
	burstBeat         = 5 * time.Millisecond              // each time
	firstPiece        = 1 << 10                           // bytes at least: enough to tell what the stream is

	patience = 30 * time.Second // with the server, where it has something to do at once
)

// facts is what the crowd reads of the API.
type facts struct {
	Name, State string
	BytesIn     int64 `json:"bytes_in"`
}

// publish is the stream's publishers, one after the other, until everybody is to leave. A publisher goes on exactly where
// the server has got to, whatever became of what the one before it had sent; so the stream has no seam, and a viewer can tell
// that it lacks nothing.
func (s *stream) publish(r *rand.Rand) {
	f, err := s.facts()
	if err != nil {
		s.fail("%s: %v", s.name, err)
		return
	}
	at, shift := int64(0), -f.BytesIn // where in the content; that is so much more than the server has counted
	var p publication
	for s.ctx.Err() == nil {
		if p == nil {
			if p = s.arrive(r); p == nil {
				return
			}
		}
		how := pick(r, endsOfPublications)
		at += s.feed(r, p, at, between(r, shortest, longest), how == "finished" || how == "finished for long")
		if s.ctx.Err() != nil && how != "finished" {
			how = "reset"
		}
		ok := false
		var next publication
		switch how {
		case "taken over":
			if next = s.arrive(r); next == nil {
				return
			}
			if err := p.gone(); err != nil {
				s.fail("%s: a publisher that was taken over from: %v", s.name, err)
			}
			f, ok = s.until("live", func(f facts) bool { return f.State == "live" })
		case "reset", "reset for long":
			p.reset()
			f, ok = s.until("without a publisher", func(f facts) bool { return f.State != "live" })
		default:
			if err := p.finish(); err != nil {
				s.fail("%s: a publisher that has finished: %v", s.name, err)
			}
			f, ok = s.until("without a publisher", func(f facts) bool { return f.State != "live" })
		}
		s.published(how)
		p = next
		if !ok {
			return
		}
		if got := f.BytesIn + shift; got > at || got < at && (how == "finished" || how == "finished for long") {
			s.fail("%s: %s at %d, but the server has got to %d", s.name, how, at, got)
		} else {
			at = got
		}
		if f.State == "live" {
			continue
		}
		if s.ctx.Err() != nil || how == "finished for long" || how == "reset for long" {
			s.ends.add(at)
			if _, ok := s.until("offline", func(f facts) bool { return f.State == "offline" }); !ok {
				return
			}
			shift += s.next(at) - at // so that the next life begins with a record
			at = s.next(at)
		}
		s.pause(between(r, 0, grace/10))
	}
	if p != nil {
		p.reset()
	}
}

// endsOfPublications are how publications end, with weights. For long is for longer than the grace.
var endsOfPublications = []weighted[string]{
	{30, "finished"}, {30, "taken over"}, {25, "reset"}, {8, "finished for long"}, {7, "reset for long"},
}

// feed publishes the content from an offset on, for a while, and returns how many bytes that were; all that the publication
// has to have, if it is to be whole.
func (s *stream) feed(r *rand.Rand, p publication, at int64, while time.Duration, whole bool) (n int64) {
	write := func(size int64) bool {
		b := make([]byte, size)
		s.read(b, at+n)
		if _, err := p.Write(b); err != nil {
			s.fail("%s: publishing at %d: %v", s.name, at+n, err)
			return false
		}
		n += size
		return true
	}
	for end := time.Now().Add(while); time.Now().Before(end) && p.room() > 0; {
		size, step, rest := 1+r.Int64N(piece), int64(burst), time.Duration(0)
		if r.IntN(burstOf) == 0 {
			size = burst
			if !s.recorded || r.IntN(2) == 0 { // viewers that skip have to end the chunk that they are in: the ring holds few
				step, rest = burstPiece, burstBeat
			}
		}
		if n == 0 {
			size += firstPiece
		}
		for size = min(size, p.room()); size > 0; size -= step {
			if !write(min(size, step)) || !s.pause(rest) {
				return n
			}
		}
		if !s.pause(between(r, 0, beat)) {
			break
		}
	}
	if left := p.room(); whole && left < endless {
		write(left)
	}
	return n
}

// until polls the API until the stream's facts are as wanted.
func (s *stream) until(what string, ok func(facts) bool) (facts, bool) {
	var last facts
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if last, err = s.facts(); err == nil && ok(last) {
			return last, true
		}
	}
	s.fail("%s: never %s; last %+v, %v", s.name, what, last, err)
	return last, false
}

func (s *stream) facts() (facts, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+"/api/v1/streams", nil)
	if err != nil {
		return facts{}, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return facts{}, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return facts{}, err
	}
	var all []facts
	if err := json.Unmarshal(b, &all); err != nil {
		return facts{}, fmt.Errorf("%w in %.200q", err, b)
	}
	for _, f := range all {
		if f.Name == s.name {
			return f, nil
		}
	}
	return facts{}, nil
}

// weighted is one of several things to choose from.
type weighted[T any] struct {
	weight int
	what   T
}

func pick[T any](r *rand.Rand, from []weighted[T]) T {
	all := 0
	for _, w := range from {
		all += w.weight
	}
	n := r.IntN(all)
	for _, w := range from {
		if n -= w.weight; n < 0 {
			return w.what
		}
	}
	panic("not reached")
}
