package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// order is what the crowd is to do; it is told in JSON.
type order struct {
	Seed    uint64
	Viewers int // at a time
	Kernel  door
	Memory  door
}

// grace is how long the servers' viewers wait for a publisher.
const grace = 5 * time.Second

// door is how the crowd gets to one of the servers; it is told in JSON.
type door struct {
	HTTP    string            // address of the server's own
	TLS     string            // of somebody else's, around its Handler, with HTTP/2
	Publish map[string]string // addresses for publishers, by the stream's name
}

// crowdOrder is the environment variable with the order, in the process that is the crowd.
const crowdOrder = "PENSTOCK_SOAK_CROWD"

// report is what the crowd has seen. It is the last line of what it writes.
type report struct {
	Publishers map[string]int // publications, by how they ended
	Viewers    map[string]int // by kind and how they ended
	Bytes      int64          // that viewers have checked
	Skipped    int64          // bytes that they have missed where they may
}

// TestTheCrowd is the crowd. It goes on until its input ends, as it does with whoever holds the other end.
func TestTheCrowd(t *testing.T) {
	text := os.Getenv(crowdOrder)
	if text == "" {
		t.Skip("is half of TestAServerStaysAsItIs, which runs it in a process of its own")
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // any end of it is the end
		cancel()
	}()
	c := &crowd{t: t, ctx: ctx, seen: report{Publishers: make(map[string]int), Viewers: make(map[string]int)}}
	c.streams = []*stream{
		{crowd: c, door: o.Kernel, name: "cam", content: parts, recorded: true},
		{crowd: c, door: o.Kernel, name: "raw", content: octets, recorded: true},
		{crowd: c, door: o.Memory, name: "mem", content: parts},
	}
	var all sync.WaitGroup
	for i, s := range c.streams {
		s.web = newWeb(s.door)
		random := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		all.Go(func() { s.publish(random) })
	}
	for i := range o.Viewers {
		random := rand.New(rand.NewPCG(o.Seed, uint64(100+i)))
		all.Go(func() { c.watch(random) })
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(c.seen); err != nil {
		t.Error(err)
	}
}

// crowd is everybody who publishes or watches.
type crowd struct {
	t       *testing.T
	ctx     context.Context // done: everybody is to leave
	streams []*stream

	mu   sync.Mutex
	seen report
}

// stream is one stream as the crowd knows it.
type stream struct {
	*crowd
	door
	*content
	name     string
	recorded bool
	web      *web

	ends endings
}

// endings are the offsets at which a stream's lives have ended.
type endings struct {
	mu  sync.Mutex
	all []int64
}

func (e *endings) add(off int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, off)
}

func (e *endings) has(off int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.all, off)
}

// newest returns the last of them, 0 if there is none.
func (e *endings) newest() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) == 0 {
		return 0
	}
	return e.all[len(e.all)-1]
}

// fail says what is wrong, at once: the soak may have half an hour to go.
func (c *crowd) fail(format string, args ...any) {
	c.t.Errorf(format, args...)
	fmt.Fprintf(os.Stderr, "%s crowd: %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// pause waits, and is false once everybody is to leave.
func (c *crowd) pause(d time.Duration) bool {
	select {
	case <-c.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (c *crowd) published(how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Publishers[how]++
}

func (c *crowd) watched(kind, end string, bytes, skipped int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Viewers[kind+" "+end]++
	c.seen.Bytes += bytes
	c.seen.Skipped += skipped
}

// between returns a duration within bounds.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
