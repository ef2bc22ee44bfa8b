package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/socket"
)

// A stream is copied from one process to others:
//
//	source → copier → sinks
//
// where a file stands for the source or the sink that is none. All run as fast as they can, but for a source that
// keeps a pace, so that the copier waits for every message.

// copied is what the copier tells of a run, on the monotonic clock.
type copied struct {
	Begin, End time.Duration // the first byte could be read; the copier was done
	CPU        time.Duration // user and system time in between
	Bytes      int64         // at each sink
}

// drained is what the sinks tell: bytes received by all of them, and when the last one saw the end.
type drained struct {
	Bytes int64
	End   time.Duration
}

func directStream(c *cast) ([]float64, error) {
	s := c.spec
	var toCopier, fromSource, toSink []*os.File
	pipe := func(in, out *[]*os.File) error {
		r, w, err := os.Pipe()
		*in, *out = append(*in, r), append(*out, w)
		return err
	}
	if isPipe(s.From) {
		if err := pipe(&toCopier, &fromSource); err != nil {
			return nil, err
		}
	}
	if isPipe(s.To) {
		if err := pipe(&toSink, &toCopier); err != nil {
			return nil, err
		}
	}
	copier, err := c.start("copier", toCopier...)
	if err != nil {
		return nil, err
	}
	if err := copier.Ask(s, &s); err != nil {
		return nil, fmt.Errorf("copier: %w", err)
	}
	var arrived drained
	sink := func() error { return nil }
	if !localSink(s.To) {
		p, err := c.start("sink", toSink...)
		if err != nil {
			return nil, err
		}
		if err := p.Ask(s, &spec{}); err != nil {
			return nil, fmt.Errorf("sink: %w", err)
		}
		sink = func() error { return p.Out.Decode(&arrived) }
	}
	if !isFile(s.From) {
		p, err := c.start("source", fromSource...)
		if err != nil {
			return nil, err
		}
		if err := p.In.Encode(s); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
	}
	var done copied
	if err := copier.Out.Decode(&done); err != nil {
		return nil, fmt.Errorf("copier: %w", err)
	}
	if err := sink(); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	if localSink(s.To) {
		arrived = drained{done.Bytes, done.End}
	}
	sinks := int64(max(s.Sinks, 1))
	if want := done.Bytes * sinks; arrived.Bytes != want || want == 0 {
		return nil, fmt.Errorf("%d bytes delivered instead of %d", arrived.Bytes, want)
	}
	gb := float64(arrived.Bytes) / 1e9
	took := arrived.End - done.Begin
	if s.Every > 0 {
		messages := float64(arrived.Bytes) / float64(s.Write)
		return []float64{float64(done.CPU) / 1e3 / messages, took.Seconds() / s.Every.Seconds() / messages}, nil
	}
	return []float64{gb / took.Seconds(), done.CPU.Seconds() / gb}, nil
}

// playCopier copies from the first byte on to the end. A file as the source is copied again and again.
func playCopier(s spec, _ *json.Decoder, out *json.Encoder) error {
	stage, err := openStage(&s, func() error { return out.Encode(s) })
	if err != nil {
		return err
	}
	defer stage.close()
	copyStream := streamKinds[s.Kind]
	if err := awaitReadable(stage.src); err != nil {
		return err
	}
	c := copied{Begin: machine.Monotonic()}
	spent := machine.ProcessCPU()
	for {
		n, err := copyStream(stage.writers(), stage.src)
		c.Bytes += n
		if err != nil {
			return err
		}
		if !isFile(s.From) || machine.Monotonic()-c.Begin > s.For {
			break
		}
		if err := stage.rewind(s); err != nil {
			return err
		}
	}
	c.End, c.CPU = machine.Monotonic(), machine.ProcessCPU()-spent
	if err := stage.closeSinks(); err != nil {
		return err
	}
	return out.Encode(c)
}

// stage is what a copier copies between.
type stage struct {
	src  end
	dsts []end
}

// openStage opens what spec tells, with what listens in it, tells about it, and takes the connections.
func openStage(s *spec, tell func() error) (*stage, error) {
	var up, down net.Listener
	var err error
	if isSocket(s.From) {
		if up, err = listen(s.From); err != nil {
			return nil, err
		}
		defer up.Close()
		s.Up = []string{up.Addr().String()}
	}
	if isSocket(s.To) {
		if down, err = listen(s.To); err != nil {
			return nil, err
		}
		defer down.Close()
		s.Down = []string{down.Addr().String()}
	}
	if err := tell(); err != nil {
		return nil, err
	}
	st := new(stage)
	for range max(s.Sinks, 1) {
		var e end
		switch {
		case down != nil:
			e, err = accept(down, s.Congestion)
		case isPipe(s.To):
			e, err = inherited(s.To, 3+len(filterPipes(s.From)))
		case s.To == os.DevNull:
			e, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		default:
			e, err = os.CreateTemp(s.Files[s.To], "sink")
			if err == nil {
				err = os.Remove(e.(*os.File).Name()) // it goes with its descriptor
			}
		}
		if err != nil {
			return nil, err
		}
		st.dsts = append(st.dsts, e)
	}
	switch {
	case up != nil:
		st.src, err = accept(up, s.Congestion)
	case isPipe(s.From):
		st.src, err = inherited(s.From, 3)
	default:
		st.src, err = os.Open(filepath.Join(s.Files[s.From], sourceName))
	}
	return st, err
}

func filterPipes(kinds ...string) (pipes []string) {
	for _, k := range kinds {
		if isPipe(k) {
			pipes = append(pipes, k)
		}
	}
	return pipes
}

func (st *stage) writers() []io.Writer {
	ws := make([]io.Writer, len(st.dsts))
	for i, d := range st.dsts {
		ws[i] = d
	}
	return ws
}

// rewind makes the source, a file, and a file as the sink, what they were.
func (st *stage) rewind(s spec) error {
	_, err := st.src.(*os.File).Seek(0, io.SeekStart)
	if f, ok := st.dsts[0].(*os.File); ok && isFile(s.To) {
		_, serr := f.Seek(0, io.SeekStart)
		err = errors.Join(err, serr, f.Truncate(0))
	}
	return err
}

func (st *stage) closeSinks() (err error) {
	for _, d := range st.dsts {
		err = errors.Join(err, d.Close())
	}
	st.dsts = nil
	return err
}

func (st *stage) close() {
	st.closeSinks() // what counts was closed before
	st.src.Close()
}

// playSource writes one reused buffer for some time, or some bytes, and ends.
func playSource(s spec, _ *json.Decoder, _ *json.Encoder) (err error) {
	var e end
	if isPipe(s.From) {
		e, err = inherited(byStdio, 3)
	} else {
		e, err = dial(s.From, s.Up[0], s.Congestion)
	}
	if err != nil {
		return err
	}
	b := make([]byte, s.Write)
	const clockEvery = 16 // writes
	begin, left := machine.Monotonic(), s.Bytes
	next := begin
	for i := 1; ; i++ {
		if s.Every > 0 {
			// It spins: a sleep is as long as the kernel likes.
			for next += s.Every; machine.Monotonic() < next; {
			}
		}
		if s.Bytes > 0 {
			b = b[:min(int64(len(b)), left)]
		}
		n, err := e.Write(b)
		if err != nil {
			return err
		}
		if left -= int64(n); left == 0 {
			break
		}
		if s.Bytes == 0 && i%clockEvery == 0 && machine.Monotonic()-begin > s.For {
			break
		}
	}
	return e.Close()
}

// playSink takes all streams to their ends.
func playSink(s spec, _ *json.Decoder, out *json.Encoder) error {
	var ends []end
	for range max(s.Sinks, 1) {
		var e end
		var err error
		if isPipe(s.To) {
			e, err = inherited(byStdio, 3)
		} else {
			e, err = dial(s.To, s.Down[0], s.Congestion)
		}
		if err != nil {
			return err
		}
		ends = append(ends, e)
	}
	if err := out.Encode(s); err != nil {
		return err
	}
	var (
		mu    sync.Mutex
		total drained
		all   sync.WaitGroup
		first error
	)
	for _, e := range ends {
		all.Go(func() {
			n, err := discard(e)
			mu.Lock()
			defer mu.Unlock()
			total.Bytes += n
			total.End = max(total.End, machine.Monotonic())
			if first == nil {
				first = err
			}
		})
	}
	all.Wait()
	if first != nil {
		return first
	}
	return out.Encode(total)
}

// discard takes a stream to its end at as little cost as there is for its kind.
func discard(e end) (int64, error) {
	switch e := e.(type) {
	case *net.TCPConn:
		return socket.Discard(e, -1)
	case *os.File:
		return discardPipe(e)
	}
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{e}, make([]byte, 512<<10))
}

// discardPipe splices a blocking pipe to the null device: its pages are freed unread.
func discardPipe(f *os.File) (n int64, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	in, out := int(f.Fd()), int(null.Fd())
	for {
		m, err := unix.Splice(in, nil, out, nil, 1<<20, 0)
		if err == unix.EINTR {
			continue
		}
		if m <= 0 || err != nil {
			return n, err
		}
		n += m
	}
}
