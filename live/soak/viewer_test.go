package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// silence is how long a viewer that reads may get nothing: longer than there is no publisher, and than any grace.
const silence = 25 * time.Second

// kind is how a viewer behaves. It stays as long as it likes, unless the stream ends.
type kind struct {
	name         string
	least, most  time.Duration // that it stays
	narrow       bool
	past         bool // it begins in the past
	mayBeCut     bool // the server need not bear with it
	once, resume time.Duration
	sip          int // bytes that it reads at a time, and
	rest         time.Duration
}

// kinds are the viewers that there are, with weights. Those that read for once, and then rest until resume.
var kinds = []weighted[*kind]{
	{30, &kind{name: "steady", least: 500 * time.Millisecond, most: 20 * time.Second}},
	{3, &kind{name: "faithful", least: 30 * time.Second, most: 2 * time.Minute}},
	{25, &kind{name: "brief", least: 0, most: time.Second}},
	{10, &kind{name: "slow", least: 10 * time.Second, most: time.Minute, narrow: true, once: 2 * time.Second, resume: 6 * time.Second}},
	{5, &kind{name: "stalled", least: 20 * time.Second, most: 50 * time.Second, narrow: true, mayBeCut: true, once: time.Second, resume: time.Hour}},
	{6, &kind{name: "trickling", least: 10 * time.Second, most: time.Minute, narrow: true, sip: 4 << 10, rest: 200 * time.Millisecond}},
	{12, &kind{name: "past", least: 500 * time.Millisecond, most: 20 * time.Second, past: true}},
	{3, &kind{name: "slow past", least: 10 * time.Second, most: time.Minute, narrow: true, past: true, once: time.Second, resume: 4 * time.Second}},
}

// strangers do not come to watch.
var strangers = []weighted[func(*stream, *rand.Rand)]{
	{10, (*stream).visit}, {10, (*stream).intrude},
}

const strangersOf = 10 // one in so many

// watch is one viewer after the other.
func (c *crowd) watch(r *rand.Rand) {
	b := make([]byte, 32<<10)
	for c.pause(between(r, 0, 200*time.Millisecond)) {
		s := c.streams[r.IntN(len(c.streams))]
		if r.IntN(strangersOf) == 0 {
			pick(r, strangers)(s, r)
			continue
		}
		k := pick(r, kinds)
		if k.past && !s.recorded {
			continue
		}
		v := &viewer{stream: s, kind: k, random: r, b: b, f: follower{
			content: s.content, joins: s.content == parts, skips: !s.recorded,
		}}
		end := v.stay()
		c.watched(k.name+" by "+v.way, end, v.bytes, v.f.skipped)
		if end == "refused" {
			c.pause(between(r, 200*time.Millisecond, time.Second)) // as it is told to
		}
	}
}

// viewer is one that checks what it gets.
type viewer struct {
	*stream
	*kind
	random *rand.Rand
	way    string
	b      []byte
	f      follower
	bytes  int64
	left   atomic.Bool // it has hung up, of itself
}

// stay watches for a while and returns how that ended.
func (v *viewer) stay() (end string) {
	l, err := v.connect()
	if err != nil {
		v.fail("%s %s: connecting: %v", v.kind.name, v.way, err)
		return "failed"
	}
	ctx, cancel := context.WithTimeout(v.ctx, between(v.random, v.least, v.most))
	defer cancel()
	hard := v.random.IntN(2) == 0
	hungUp := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(hungUp)
		v.left.Store(true)
		l.hangUp(hard)
	})
	defer func() {
		if stop() {
			l.hangUp(hard)
		} else {
			<-hungUp
		}
	}()
	began := time.Now()
	answer, err := l.ask(v.path())
	if err != nil {
		return v.ended(err, began)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusOK:
	case answer.StatusCode == http.StatusServiceUnavailable, answer.StatusCode == http.StatusNotFound && !v.f.joined && v.early():
		return "refused"
	default:
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200)) // as far as it goes
		v.complain("answered %s: %s", answer.Status, text)
		return "failed"
	}
	return v.read(ctx, answer.Body)
}

// early tells whether there may be nothing to watch, or no past: before the first byte.
func (v *viewer) early() bool { return v.past || v.ends.newest() == 0 }

func (v *viewer) connect() (line, error) {
	v.way = pick(v.random, []weighted[string]{{60, "TCP"}, {20, "TLS"}, {20, "HTTP/2"}})
	to := v.HTTP
	switch v.way {
	case "HTTP/2":
		return v.web.line(), nil
	case "TLS":
		to = v.TLS
	}
	conn, err := v.dial(to)
	if err != nil {
		return nil, err
	}
	p := plain{conn}
	if v.narrow {
		err = p.narrow()
	}
	return p, err
}

func (v *viewer) path() string {
	path := "/live/" + v.stream.name
	if v.past {
		path += "?ago=" + between(v.random, time.Second, time.Minute).String()
	}
	return path
}

// read reads in the way of v's kind until that ends.
func (v *viewer) read(ctx context.Context, body io.Reader) (end string) {
	rest := func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	woke := time.Now()
	for spell := v.spell(); ; {
		b := v.b
		if v.sip > 0 {
			b = b[:v.sip]
			rest(v.kind.rest)
		}
		began := time.Now()
		n, err := body.Read(b)
		v.bytes += int64(n)
		if damage := v.f.take(b[:n]); damage != nil {
			v.complain("%v", damage)
			return "damaged"
		}
		if err != nil {
			return v.ended(err, began)
		}
		if v.once > 0 && time.Since(woke) > spell {
			rest(between(v.random, v.resume/4, v.resume))
			woke, spell = time.Now(), v.spell()
		}
	}
}

// spell is how long v reads before it rests.
func (v *viewer) spell() time.Duration {
	if v.once == 0 {
		return 0
	}
	return between(v.random, v.once/10, v.once)
}

// ended returns how v's watching has ended, with err from a call that began at a time; an end that should not be is a
// failure.
func (v *viewer) ended(err error, began time.Time) (end string) {
	waited := time.Since(began)
	switch {
	case v.left.Load() && waited > silence:
		v.complain("nothing came for %v", waited)
		return "forgotten"
	case v.left.Load():
		return "left"
	case !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		if !v.mayBeCut {
			v.complain("cut: %v", err)
		}
		return "cut"
	case !v.f.joined, v.ends.has(v.f.at):
		return "ended"
	case v.f.skips && v.f.at%int64(v.f.size) == 0:
		return "ended"
	default:
		v.complain("the end came at %d, and not at %d", v.f.at, v.ends.newest())
		return "ended early"
	}
}

func (v *viewer) complain(format string, args ...any) {
	v.fail("%s viewer of %s by %s, %d bytes, at %d: %s",
		v.kind.name, v.stream.name, v.way, v.bytes, v.f.at, fmt.Sprintf(format, args...))
}

// visit looks at what there is besides the streams.
func (s *stream) visit(r *rand.Rand) {
	end := "left"
	defer func() { s.watched("visitor", end, 0, 0) }()
	ctx, cancel := context.WithTimeout(s.ctx, between(r, 0, 5*time.Second))
	defer cancel()
	path := []string{"/", "/metrics", "/api/v1/streams", "/api/v1/events", "/live/" + s.name, "/nothing"}[r.IntN(6)]
	method := http.MethodGet
	if strings.HasPrefix(path, "/live") {
		method = http.MethodHead
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.HTTP+path, nil)
	if err != nil {
		s.fail("%v", err)
		return
	}
	answer, err := http.DefaultClient.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	if err != nil && ctx.Err() == nil {
		s.fail("visiting %s: %v", path, err)
		end = "failed"
	}
}

// intrude connects and does not do what it should.
func (s *stream) intrude(r *rand.Rand) {
	to := []string{s.HTTP, s.TLS, s.Publish[s.name]}[r.IntN(2)]
	conn, err := (&stream{door: door{}}).dial(to) // TLS it does not speak
	if err != nil {
		s.fail("intruding: %v", err)
		return
	}
	says := []string{
		"", "GET /live/" + s.name, "GET /live/" + s.name + " HTTP/1.1\r\nHost: soak\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00", strings.Repeat("GET ", 10_000), "HEAD /live/" + s.name + " HTTP/1.1\r\nHost: soak\r\n\r\n",
	}
	_, _ = io.WriteString(conn, says[r.IntN(len(says))]) // the server may have closed
	s.pause(between(r, 0, time.Second))
	if r.IntN(2) == 0 {
		reset(conn)
	} else {
		conn.Close()
	}
	s.watched("intruder", "left", 0, 0)
}
