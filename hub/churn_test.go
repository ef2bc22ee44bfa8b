package hub_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// TestChurn lets viewers come, dawdle, leave and reset at random while a stream goes by. Each that stays to the end must
// have a suffix of it, each other a part of it from where it joined; the recording must have all. The seed is logged.
func TestChurn(t *testing.T) {
	for _, policy := range []hub.Policy{hub.Disconnect, hub.Block} {
		t.Run(map[hub.Policy]string{hub.Disconnect: "disconnect", hub.Block: "block"}[policy], func(t *testing.T) {
			backings(t, func(t *testing.T, cfg hub.Config) {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				cfg.OnSlow = policy
				cfg.Ring = 1 << 20
				if !cfg.NoSplice {
					cfg.Pool = penstock.NewPool(3 << 20) // too little at times
					defer cfg.Pool.Close()
				}
				churn(t, cfg, rand.New(rand.NewPCG(seed, 0)))
				if cfg.Pool != nil {
					if s := cfg.Pool.Stats(); s.Held != s.Idle {
						t.Errorf("%d bytes of pipes are still lent", s.Held-s.Idle)
					}
				}
			})
		})
	}
}

func churn(t *testing.T, cfg hub.Config, r *rand.Rand) {
	const viewers = 60
	h := hub.New(cfg)
	want := make([]byte, 6<<20)
	for i := 0; i < len(want); i += 8 {
		binary.NativeEndian.PutUint64(want[i:], r.Uint64()) // any few bytes of it occur once
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "recording"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	recording, err := h.Attach(penstock.SinkOf(file), hub.SinkConfig{MustHave: true})
	if err != nil {
		t.Fatal(err)
	}
	near, pub := tcpPair(t)
	published := publishing(h, penstock.SourceOf(near))
	var wg sync.WaitGroup
	for off := 0; off < len(want); {
		n := min(1+r.IntN(1<<r.IntN(20)), len(want)-off)
		if _, err := pub.Write(want[off : off+n]); err != nil {
			t.Fatal(err)
		}
		off += n
		if r.IntN(len(want)/n/viewers+1) == 0 {
			seed := r.Uint64()
			v, far := attach(t, h, hub.SinkConfig{Header: func() []byte { return []byte("head") }})
			wg.Go(func() { dawdle(t, v, far, rand.New(rand.NewPCG(seed, 1)), want) })
		}
	}
	pub.Close()
	if err := published(); err != nil {
		t.Error(err)
	}
	h.End()
	wg.Wait()
	h.Wait()
	if err := recording.Err(); err != nil {
		t.Errorf("recording: %v", err)
	}
	rec, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "recording", rec, want)
}

// dawdle reads in fits and starts, for as long as it likes to.
func dawdle(t *testing.T, v *hub.Viewer, far *net.TCPConn, r *rand.Rand, want []byte) {
	var got bytes.Buffer
	var err error
	for patience := r.IntN(400); err == nil && patience > 0; patience-- {
		_, err = io.CopyN(&got, far, int64(1+r.IntN(200_000)))
		if r.IntN(8) == 0 {
			time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond) // a schedule, not a synchronisation
		}
	}
	if err == nil {
		if r.IntN(2) == 0 {
			far.SetLinger(0)
		}
		far.Close()
		v.Leave(errors.New("tired"))
	}
	body, headed := bytes.CutPrefix(got.Bytes(), []byte("head"))
	if !headed && got.Len() >= 4 {
		t.Error("no header")
	}
	if len(body) > 0 {
		at := bytes.Index(want, body[:min(len(body), 64)])
		if at < 0 || !bytes.HasPrefix(want[at:], body) {
			t.Errorf("%d bytes are no part of the stream", len(body))
		} else if err == io.EOF && v.Err() == nil && at+len(body) != len(want) {
			t.Errorf("%d bytes from %d on, and then an end", len(body), at)
		}
	}
}

// TestTheRingsBoundIsOfMemory has a viewer that takes nothing of a stream that comes byte by byte.
func TestTheRingsBoundIsOfMemory(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.Ring = 1 << 20
		h := hub.New(cfg)
		stuck := &stuckSink{quit: make(chan struct{})}
		v, err := h.Attach(stuck, hub.SinkConfig{})
		if err != nil {
			t.Fatal(err)
		}
		one := make([]string, 1000)
		for i := range one {
			one[i] = "x"
		}
		if _, err := h.Publish(t.Context(), penstock.SourceOf(&pieces{one}), hub.PublishConfig{}); err != nil {
			t.Fatal(err)
		}
		h.End()
		if err := v.Err(); !errors.Is(err, hub.ErrTooSlow) {
			t.Errorf("a thousand bytes in a thousand chunks: %v", err)
		}
		h.Wait()
	})
}

// pieces returns each string in a Read of its own.
type pieces struct{ left []string }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	p.left = p.left[1:]
	return n, nil
}

// stuckSink polls, and never takes anything.
type stuckSink struct {
	once sync.Once
	quit chan struct{}
}

func (s *stuckSink) SpliceWrite(_ penstock.Conduit, _ int, flags penstock.Flags) (int, error) {
	if flags&penstock.NonBlock != 0 {
		return 0, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: penstock.ErrWouldBlock}
	}
	<-s.quit
	return 0, os.ErrDeadlineExceeded
}

func (s *stuckSink) Path(penstock.Conduit) (penstock.Path, string) { return "", "never" }
func (s *stuckSink) Polls() bool                                   { return true }
func (s *stuckSink) Interrupt()                                    { s.once.Do(func() { close(s.quit) }) }
func (s *stuckSink) Resume()                                       {}

func TestAViewerThatStallsBehindTheEndIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Config{NoSplice: true})
		v, err := h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("never taken"))), hub.PublishConfig{}); err != nil {
			t.Fatal(err)
		}
		h.End()
		if err := v.Err(); !errors.Is(err, hub.ErrStalled) { // of the bubble's clock
			t.Errorf("%v", err)
		}
		h.Wait()
	})
}

// TestAViewerThatTakesLittleAtATimeIsNotStalled has one that is written to, and takes far longer over what there is than it
// may take nothing for: both while there is a publisher, and behind the end.
func TestAViewerThatTakesLittleAtATimeIsNotStalled(t *testing.T) {
	for name, end := range map[string]bool{"while it is published": false, "behind the end": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const all = 512 << 10
				h := hub.New(hub.Config{NoSplice: true, Limits: hub.Limits{Stall: 10 * time.Second}})
				sink := &slowWriter{perPage: time.Second}
				v, err := h.Attach(penstock.SinkOf(sink), hub.SinkConfig{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader(make([]byte, all))), hub.PublishConfig{}); err != nil {
					t.Fatal(err)
				}
				if !end {
					time.Sleep(time.Hour) // of the bubble's clock: by then it has all there is, and is in step
				}
				h.End()
				if err := v.Err(); err != nil || sink.n != all {
					t.Errorf("%d bytes of %d, and then %v", sink.n, all, err)
				}
				h.Wait()
			})
		})
	}
}

// slowWriter takes a while over each page of the least size.
type slowWriter struct {
	perPage time.Duration
	n       int
}

func (w *slowWriter) Write(b []byte) (int, error) {
	time.Sleep(w.perPage * time.Duration(len(b)) / penstock.MinPageSize)
	w.n += len(b)
	return len(b), nil
}
