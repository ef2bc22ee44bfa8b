package hub_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// backings runs a test over the kernel's pipes and over memory pipes.
func backings(t *testing.T, test func(t *testing.T, cfg hub.Config)) {
	for _, noSplice := range []bool{false, true} {
		t.Run(map[bool]string{false: "splice", true: "no-splice"}[noSplice], func(t *testing.T) {
			before := penstock.PagesInUse()
			test(t, hub.Config{NoSplice: noSplice})
			if after := penstock.PagesInUse(); after != before {
				t.Errorf("pages in use: %d before, %d after", before, after)
			}
		})
	}
}

// offsets is a stream whose every 8 bytes say their own offset. All tests share it: it is not to be written to.
func offsets(n int) []byte {
	written.Lock()
	defer written.Unlock()
	for off := len(written.stream); off < n; off += 8 {
		written.stream = binary.BigEndian.AppendUint64(written.stream, uint64(off))
	}
	return written.stream[:n:n]
}

// written is as much of the stream as was needed so far; making it takes the race detector longer than comparing it.
var written struct {
	sync.Mutex
	stream []byte
}

// tcpPair returns the two ends of a loopback connection.
func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed := make(chan net.Conn, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			c = nil
		}
		dialed <- c
	}()
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b := <-dialed
	if b == nil {
		t.Fatal("dial failed")
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// receiver is the far side of a viewer: it reads to the end.
type receiver struct {
	wg    sync.WaitGroup
	bytes []byte
	err   error
}

func receive(r io.Reader) *receiver {
	var rc receiver
	rc.wg.Go(func() {
		for rc.err == nil {
			// Twice as much each time: io.ReadAll copies what it has more often.
			rc.bytes = slices.Grow(rc.bytes, max(64<<10, len(rc.bytes)))
			var n int
			n, rc.err = r.Read(rc.bytes[len(rc.bytes):cap(rc.bytes)])
			rc.bytes = rc.bytes[:len(rc.bytes)+n]
		}
		if rc.err == io.EOF {
			rc.err = nil
		}
	})
	return &rc
}

func (rc *receiver) all(t *testing.T) []byte {
	t.Helper()
	rc.wg.Wait()
	if rc.err != nil {
		t.Errorf("receiver: %v", rc.err)
	}
	return rc.bytes
}

// attach adds a TCP viewer that is closed when it leaves.
func attach(t *testing.T, h *hub.Hub, cfg hub.SinkConfig) (*hub.Viewer, *net.TCPConn) {
	t.Helper()
	near, far := tcpPair(t)
	cfg.OnLeave = func(error) { near.Close() }
	v, err := h.Attach(penstock.SinkOf(near), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v, far
}

func same(t *testing.T, who string, got, want []byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d bytes, want %d", who, len(got), len(want))
		return
	}
	if !bytes.Equal(got, want) {
		i := 0
		for got[i] == want[i] {
			i++
		}
		t.Errorf("%s: differs at %d", who, i)
	}
}

func TestEveryViewerGetsEveryByte(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.OnSlow = hub.Block
		for _, viewers := range []int{0, 1, 2, 5} {
			t.Run(fmt.Sprint(viewers), func(t *testing.T) {
				h := hub.New(cfg)
				var got []*receiver
				for i := range viewers {
					_, far := attach(t, h, hub.SinkConfig{Name: fmt.Sprint(i), Header: func() []byte { return []byte("head|") }})
					got = append(got, receive(far))
				}
				file, err := os.Create(filepath.Join(t.TempDir(), "recording"))
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				if _, err := h.Attach(penstock.SinkOf(file), hub.SinkConfig{MustHave: true}); err != nil {
					t.Fatal(err)
				}
				want := offsets(10 << 20)
				near, far := tcpPair(t)
				go func() {
					if _, err := far.Write(want); err != nil {
						t.Error(err)
					}
					far.Close()
				}()
				n, err := h.Publish(t.Context(), penstock.SourceOf(near), hub.PublishConfig{})
				if err != nil || n != int64(len(want)) {
					t.Errorf("published %d, %v", n, err)
				}
				h.End()
				h.Wait()
				for i, rc := range got {
					same(t, fmt.Sprint("viewer ", i), rc.all(t), append([]byte("head|"), want...))
				}
				rec, err := os.ReadFile(file.Name())
				if err != nil {
					t.Fatal(err)
				}
				same(t, "recording", rec, want)
			})
		}
	})
}

// pacer hands out a source in steps, so that a test decides what arrives together.
type pacer struct {
	pipe *penstock.Pipe
	src  penstock.Source
}

func newPacer() *pacer {
	p := penstock.NewPipe(0)
	return &pacer{p, penstock.SourceOf(p)}
}

// publishing runs Publish beside the test and returns a function that waits for its end.
func publishing(h *hub.Hub, src penstock.Source) func() error {
	done := make(chan error, 1)
	go func() {
		_, err := h.Publish(context.Background(), src, hub.PublishConfig{})
		done <- err
	}()
	return func() error { return <-done }
}

func TestLateViewerGetsASuffix(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		h := hub.New(cfg)
		p := newPacer()
		wait := publishing(h, p.src)
		_, farEarly := attach(t, h, hub.SinkConfig{Name: "early"})
		p.pipe.Write([]byte("first "))
		if b := make([]byte, 6); true {
			if _, err := io.ReadFull(farEarly, b); err != nil || string(b) != "first " {
				t.Fatalf("%q, %v", b, err)
			}
		}
		_, farLate := attach(t, h, hub.SinkConfig{Name: "late"})
		early, late := receive(farEarly), receive(farLate)
		p.pipe.Write([]byte("second"))
		p.pipe.CloseWrite()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		h.End()
		h.Wait()
		same(t, "early", early.all(t), []byte("second"))
		same(t, "late", late.all(t), []byte("second"))
	})
}

func TestStalledViewerIsCutAndNobodyElseNotices(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.Ring = 4 << 20
		h := hub.New(cfg)
		stalled, _ := attach(t, h, hub.SinkConfig{Name: "stalled"}) // its far side never reads

		file, err := os.Create(filepath.Join(t.TempDir(), "recording"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := h.Attach(penstock.SinkOf(file), hub.SinkConfig{MustHave: true}); err != nil {
			t.Fatal(err)
		}
		// The others confirm each piece before the next is published: they are in step by construction.
		const piece = 256 << 10
		want := offsets(32 << 20)
		var far []*net.TCPConn
		for i := range 3 {
			_, f := attach(t, h, hub.SinkConfig{Name: fmt.Sprint(i)})
			far = append(far, f)
		}
		near, pub := tcpPair(t)
		wait := publishing(h, penstock.SourceOf(near))
		buf := make([]byte, piece)
		for off := 0; off < len(want); off += piece {
			if _, err := pub.Write(want[off : off+piece]); err != nil {
				t.Fatal(err)
			}
			for i, f := range far {
				if _, err := io.ReadFull(f, buf); err != nil {
					t.Fatalf("viewer %d at %d: %v", i, off, err)
				}
				same(t, fmt.Sprintf("viewer %d at %d", i, off), buf, want[off:off+piece])
			}
		}
		pub.Close()
		if err := wait(); err != nil {
			t.Error(err)
		}
		if err := stalled.Err(); !errors.Is(err, hub.ErrTooSlow) {
			t.Errorf("the stalled viewer left with %v", err)
		}
		h.End()
		h.Wait()
		rec, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "recording", rec, want)
	})
}

func TestSlowViewerBlocksThePublisherIfItMay(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.OnSlow = hub.Block
		h := hub.New(cfg)
		_, far := attach(t, h, hub.SinkConfig{Name: "slow"})
		near, pub := tcpPair(t)
		wait := publishing(h, penstock.SourceOf(near))
		block := offsets(1 << 20)
		const enough = 1 << 10 // blocks: far more than pipes and sockets hold
		sent := 0
		for ; sent < enough; sent++ {
			// However slow the machine, a deadline that goes by without a byte taken is a publisher held back.
			if err := pub.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := pub.Write(block); err != nil {
				break
			}
		}
		if sent == enough {
			t.Error("the publisher was not held back")
		}
		pub.Close()
		got := receive(far)
		if err := wait(); err != nil {
			t.Error(err)
		}
		h.End()
		h.Wait()
		b := got.all(t)
		if len(b) < sent<<20 || len(b) >= (sent+1)<<20 {
			t.Errorf("%d bytes arrived of %d blocks and a part", len(b), sent)
		}
		for i := 0; i < len(b); i += len(block) {
			same(t, "slow", b[i:min(i+len(block), len(b))], block[:min(len(block), len(b)-i)])
		}
	})
}

func TestStreamOutlivesItsPublisher(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		h := hub.New(cfg)
		_, far := attach(t, h, hub.SinkConfig{})
		got := receive(far)
		for _, part := range []string{"one ", "two ", "three"} {
			p := newPacer()
			p.pipe.Write([]byte(part))
			p.pipe.CloseWrite()
			if _, err := h.Publish(t.Context(), p.src, hub.PublishConfig{}); err != nil {
				t.Fatal(err)
			}
		}
		h.End()
		h.Wait()
		same(t, "viewer", got.all(t), []byte("one two three"))
	})
}

func TestViewerOfAnEmptyStreamGetsItsHeader(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		h := hub.New(cfg)
		_, far := attach(t, h, hub.SinkConfig{Header: func() []byte { return []byte("head") }})
		got := receive(far)
		h.End()
		h.Wait()
		same(t, "viewer", got.all(t), []byte("head"))
		if _, err := h.Attach(penstock.SinkOf(io.Discard), hub.SinkConfig{}); !errors.Is(err, hub.ErrEnded) {
			t.Errorf("attached to an ended hub: %v", err)
		}
	})
}

var errDisk = errors.New("input/output error")

// failing is a sink's writer that fails once it has taken so many bytes.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	n := min(len(b), f.left)
	f.left -= n
	if n < len(b) {
		return n, errDisk
	}
	return n, nil
}

func TestFailingSinkLeavesAloneAndSaysWhy(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.OnSlow = hub.Block
		h := hub.New(cfg)
		bad, err := h.Attach(penstock.SinkOf(&failing{left: 100_000}), hub.SinkConfig{MustHave: true})
		if err != nil {
			t.Fatal(err)
		}
		_, far := attach(t, h, hub.SinkConfig{})
		got := receive(far)
		want := offsets(5 << 20)
		near, pub := tcpPair(t)
		go func() { pub.Write(want); pub.Close() }()
		if _, err := h.Publish(t.Context(), penstock.SourceOf(near), hub.PublishConfig{}); err != nil {
			t.Error(err)
		}
		h.End()
		h.Wait()
		same(t, "viewer", got.all(t), want)
		side, ok := penstock.SideOf(bad.Err())
		if !errors.Is(bad.Err(), errDisk) || !ok || side != penstock.SideSink {
			t.Errorf("the failing sink left with %v", bad.Err())
		}
	})
}

func TestPublishIsCancelled(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		h := hub.New(cfg)
		near, _ := tcpPair(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := h.Publish(ctx, penstock.SourceOf(near), hub.PublishConfig{})
			done <- err
		}()
		why := errors.New("enough")
		cancel(why)
		if err := <-done; !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
		h.End()
	})
}

// TestACancelledPublisherLeavesItsViewersAlone cancels while the publisher waits for the one viewer, which then gets what
// was published, whole.
func TestACancelledPublisherLeavesItsViewersAlone(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.OnSlow = hub.Block
		h := hub.New(cfg)
		_, far := attach(t, h, hub.SinkConfig{})
		near, pub := tcpPair(t)
		want := offsets(64 << 20)
		go func() { pub.Write(want) }() // more than fits anywhere: it is cut off below
		ctx, cancel := context.WithCancel(t.Context())
		type published struct {
			n   int64
			err error
		}
		done := make(chan published, 1)
		go func() {
			n, err := h.Publish(ctx, penstock.SourceOf(near), hub.PublishConfig{})
			done <- published{n, err}
		}()
		for last := int64(-1); h.Stats().BytesIn == 0 || h.Stats().BytesIn != last; time.Sleep(50 * time.Millisecond) {
			last = h.Stats().BytesIn // until nothing moves: the publisher waits
		}
		cancel()
		p := <-done
		if !errors.Is(p.err, context.Canceled) {
			t.Errorf("%v", p.err)
		}
		got := receive(far)
		h.End()
		h.Wait()
		same(t, "viewer", got.all(t), want[:p.n])
	})
}

// slotted is a source that fills every slot of a default pipe, a byte in each.
type slotted struct{ text string }

func (s *slotted) SpliceRead(p penstock.Conduit, _ int, _ penstock.Flags) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	for i := range penstock.DefaultSlots {
		one := penstock.NewPipe(1)
		defer one.Close()
		one.Write([]byte(s.text[i : i+1]))
		if _, err := penstock.Splice(context.Background(), p, one, 1, penstock.NonBlock); err != nil {
			return i, err
		}
		if kp, ok := p.(*penstock.KernelPipe); ok { // written bytes merge: move them through a second pipe, which they do not
			if err := unmerge(kp, i); err != nil {
				return i, err
			}
		}
	}
	s.text = s.text[penstock.DefaultSlots:]
	return penstock.DefaultSlots, nil
}

func (s *slotted) Path(penstock.Conduit) (penstock.Path, string) { return penstock.PathPages, "a test" }
func (s *slotted) Polls() bool                                   { return false }
func (s *slotted) Wait() error                                   { return nil }

// unmerge makes the last byte of a pipe that holds n+1 a slot of its own, by turning the pipe over.
func unmerge(p *penstock.KernelPipe, n int) error {
	other, err := penstock.NewKernelPipe(0)
	if err != nil {
		return err
	}
	defer other.Close()
	for range n + 1 {
		if _, err := penstock.Splice(context.Background(), other, p, 1, penstock.NonBlock); err != nil {
			return err
		}
	}
	_, err = penstock.Splice(context.Background(), p, other, n+1, penstock.NonBlock)
	return err
}

// TestAHeaderBeforeAFullChunk has a viewer whose header takes the slot that the chunk's last buffer would need.
func TestAHeaderBeforeAFullChunk(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		h := hub.New(cfg)
		var got []*receiver
		for range 3 {
			_, far := attach(t, h, hub.SinkConfig{Header: func() []byte { return []byte("head|") }})
			got = append(got, receive(far))
		}
		const text = "sixteen in a run, and sixteen mor"
		if _, err := h.Publish(t.Context(), &slotted{text[:32]}, hub.PublishConfig{}); err != nil {
			t.Fatal(err)
		}
		h.End()
		h.Wait()
		for _, rc := range got {
			same(t, "viewer", rc.all(t), []byte("head|"+text[:32]))
		}
	})
}

func TestWithoutPipeBudgetEverythingStillArrives(t *testing.T) {
	pool := penstock.NewPool(128 << 10) // one small chunk, and no viewer's own pipe
	defer pool.Close()
	h := hub.New(hub.Config{OnSlow: hub.Block, Pool: pool})
	var got []*receiver
	for range 3 {
		_, far := attach(t, h, hub.SinkConfig{Header: func() []byte { return []byte("h") }})
		got = append(got, receive(far))
	}
	want := offsets(8 << 20)
	near, pub := tcpPair(t)
	go func() { pub.Write(want); pub.Close() }()
	if _, err := h.Publish(t.Context(), penstock.SourceOf(near), hub.PublishConfig{}); err != nil {
		t.Error(err)
	}
	h.End()
	h.Wait()
	for i, rc := range got {
		same(t, fmt.Sprint("viewer ", i), rc.all(t), append([]byte("h"), want...))
	}
}

// zeros is a reader that has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
