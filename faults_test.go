package penstock_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// fault is what goes wrong at one offset of a stream.
type fault struct {
	name   string
	err    error
	sticky bool // for ever, rather than once
	takes  int  // without an error: so many bytes in place of all; -1 is half
}

var faults = []fault{
	{name: "EIO for ever", err: syscall.EIO, sticky: true},
	{name: "EIO once", err: syscall.EIO},
	{name: "EINTR", err: syscall.EINTR},
	{name: "EAGAIN", err: syscall.EAGAIN},
	{name: "one byte", takes: 1},
	{name: "half", takes: -1},
}

// faulty is the end of a stream, source or sink, with a fault at an offset of it. It reads from data, or writes to got.
type faulty struct {
	fault
	at    int
	alone bool // an error is told by a call of its own, not with the last bytes before it
	data  []byte
	off   int // bytes read
	got   []byte
	fired int
}

// cut is how much of n bytes, off on, go well, and with which error. A fault without an error is met by the call that
// begins at it: the one before is made to end there.
func (f *faulty) cut(off, n int) (int, error) {
	if f.fired > 0 && !f.sticky || off > f.at || off+n < f.at {
		return n, nil
	}
	if f.err == nil {
		if off < f.at {
			return f.at - off, nil
		}
		f.fired++
		if f.takes > 0 {
			return f.takes, nil
		}
		return (n + 1) / 2, nil
	}
	if f.alone && off < f.at {
		return f.at - off, nil
	}
	f.fired++
	return f.at - off, f.err
}

func (f *faulty) Read(b []byte) (int, error) {
	n, err := f.cut(f.off, len(b))
	n = copy(b[:n], f.data[f.off:])
	f.off += n
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write's shorter counts without an error break the rules of io.Writer, and are to be borne.
func (f *faulty) Write(b []byte) (int, error) {
	n, err := len(b), error(nil)
	if f.at < len(f.got)+len(b) { // what ends at the fault has not met it yet
		n, err = f.cut(len(f.got), len(b))
	}
	if f.alone && err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	f.got = append(f.got, b[:n]...)
	return n, err
}

// raceDetector tells whether this is a race build.
var raceDetector = func() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// smallPipes runs a test over pipes of two small pages, of both backings.
func smallPipes(t *testing.T, test func(t *testing.T, p penstock.Conduit)) {
	t.Run("memory", func(t *testing.T) {
		before := penstock.PagesInUse()
		var arena penstock.Arena
		p, err := penstock.OpenPipe(penstock.PipeConfig{Slots: 2, PageSize: fuzzPage, Arena: &arena})
		if err != nil {
			t.Fatal(err)
		}
		test(t, p)
		p.Close()
		arena.Close()
		if after := penstock.PagesInUse(); after != before {
			t.Errorf("pages in use: %d before, %d after", before, after)
		}
	})
	t.Run("kernel", func(t *testing.T) {
		p, err := penstock.NewKernelPipe(2 * fuzzPage)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("this system has no splice: " + runtime.GOOS)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		test(t, p)
	})
}

// ways are the two ways to move bytes between a pipe and something else: a Source or Sink made once, and Splice.
var ways = []struct {
	name string
	from func(r io.Reader) func(p penstock.Conduit, n int) (int, error)
	to   func(w io.Writer) func(p penstock.Conduit, n int) (int, error)
}{
	{
		"Source and Sink",
		func(r io.Reader) func(penstock.Conduit, int) (int, error) {
			s := penstock.SourceOf(r)
			return func(p penstock.Conduit, n int) (int, error) { return s.SpliceRead(p, n, 0) }
		},
		func(w io.Writer) func(penstock.Conduit, int) (int, error) {
			s := penstock.SinkOf(w)
			return func(p penstock.Conduit, n int) (int, error) { return s.SpliceWrite(p, n, 0) }
		},
	},
	{
		"Splice",
		func(r io.Reader) func(penstock.Conduit, int) (int, error) {
			return func(p penstock.Conduit, n int) (int, error) { return penstock.Splice(background, p, r, n, 0) }
		},
		func(w io.Writer) func(penstock.Conduit, int) (int, error) {
			return func(p penstock.Conduit, n int) (int, error) { return penstock.Splice(background, w, p, n, 0) }
		},
	},
}

// everyFault runs a test of each fault at each offset of a stream a little longer than three pages, each way. Whether an
// error comes alone takes turns from offset to offset; under the race detector, which looks at each byte that is copied,
// so do the faults and the ways, and "make test" runs this without it, too.
func everyFault(t *testing.T, test func(t *testing.T, p penstock.Conduit, way int, data []byte, f *faulty)) {
	data := pattern(3*fuzzPage + 5)
	smallPipes(t, func(t *testing.T, p penstock.Conduit) {
		for i, kind := range faults {
			f := &faulty{got: make([]byte, 0, len(data))}
			for at := range len(data) + 1 {
				if raceDetector && at%len(faults) != i {
					continue
				}
				for way := range ways {
					if raceDetector && way != (at/len(faults)+at)%len(ways) {
						continue
					}
					*f = faulty{fault: kind, at: at, alone: (at/len(faults)+at)%4 < 2, data: data, got: f.got[:0]}
					if test(t, p, way, data, f); t.Failed() {
						t.Fatalf("%s: %s at %d", ways[way].name, kind.name, at)
					}
				}
			}
		}
	})
}

// TestAFaultOfTheSourceLosesNothing lets a source fail at every offset: what it gave away is what has come out of the
// pipe and what is still in it.
func TestAFaultOfTheSourceLosesNothing(t *testing.T) {
	out := make([]byte, 4*fuzzPage)
	everyFault(t, func(t *testing.T, p penstock.Conduit, way int, data []byte, f *faulty) {
		read, told, done := ways[way].from(f), 0, 0
		for {
			had := f.off
			n, err := read(p, len(data))
			if n != f.off-had || done+p.Len() != f.off {
				t.Errorf("moved %d of %d read; %d delivered and %d in the pipe of %d", n, f.off-had, done, p.Len(), f.off)
				return
			}
			for p.Len() > 0 {
				m, rerr := p.Read(out[done:])
				if done += m; rerr != nil {
					t.Error(rerr)
					return
				}
			}
			if err == io.EOF {
				break
			}
			if err == nil {
				continue
			}
			told++
			if side, ok := penstock.SideOf(err); !ok || side != penstock.SideSource || !errors.Is(err, f.err) {
				t.Errorf("%v, which blames the %v", err, side)
				return
			}
			if f.sticky && told == 2 {
				break
			}
		}
		want := data
		if f.sticky {
			want = data[:f.at]
		}
		if !bytes.Equal(out[:done], want) {
			t.Errorf("%d bytes were delivered, not the %d", done, len(want))
		}
		if f.err != nil && told != f.fired || f.fired == 0 && f.at < len(data) {
			t.Errorf("told %d of %d errors", told, f.fired)
		}
	})
}

// TestAFaultOfTheSinkLosesNothing lets a sink fail at every offset: what it took and what is still in the pipe is what
// there was, and the rest goes on from there.
func TestAFaultOfTheSinkLosesNothing(t *testing.T) {
	rest := make([]byte, 4*fuzzPage)
	everyFault(t, func(t *testing.T, p penstock.Conduit, way int, data []byte, f *faulty) {
		read, write := ways[way].from(bytes.NewReader(data)), ways[way].to(f)
		in, told := 0, 0
		for in < len(data) || p.Len() > 0 {
			if p.Len() == 0 {
				n, err := read(p, len(data))
				if in += n; err != nil {
					t.Error(err)
					return
				}
			}
			had, asked := len(f.got), p.Len()
			n, err := write(p, asked)
			if n != len(f.got)-had || len(f.got)+p.Len() != in {
				t.Errorf("moved %d of %d written; %d written and %d in the pipe of %d", n, len(f.got)-had, len(f.got), p.Len(), in)
				return
			}
			if err == nil {
				if n < asked && !(ways[way].name == "Splice" && f.err == syscall.EAGAIN) { // which then is a partial success
					t.Errorf("moved %d of %d, and nobody is to blame", n, asked)
				}
				continue
			}
			told++
			cause := f.err
			if cause == nil {
				cause = io.ErrShortWrite
			}
			if side, ok := penstock.SideOf(err); !ok || side != penstock.SideSink || !errors.Is(err, cause) && !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("%v, which blames the %v", err, side)
				return
			}
			if f.sticky && told == 3 {
				break
			}
		}
		if f.fired == 0 && f.at < len(data) {
			t.Error("no fault")
		}
		left, err := 0, error(nil)
		if p.Len() > 0 {
			left, err = io.ReadFull(p, rest[:p.Len()])
		}
		if err != nil || !bytes.Equal(append(f.got, rest[:left]...), data[:in]) || in != len(data) && !f.sticky {
			t.Errorf("%d bytes were taken and %d are left of %d, %v", len(f.got), left, in, err)
		}
	})
}

// TestAFullKernelPipeCostsTheSourceNothing: what has no room is not read, and a call that is not to wait does not.
func TestAFullKernelPipeCostsTheSourceNothing(t *testing.T) {
	for _, held := range []int{0, 1, fuzzPage, fuzzPage + 1, 2 * fuzzPage} {
		p, err := penstock.NewKernelPipe(2 * fuzzPage)
		if err != nil {
			t.Skip(err)
		}
		defer p.Close()
		p.Write(pattern(held))
		src := bytes.NewReader(pattern(3 * fuzzPage))
		p.SetWriteDeadline(time.Now().Add(time.Second)) // for a call that waits all the same
		n, err := penstock.Splice(background, p, src, src.Len(), penstock.NonBlock)
		if taken := int(src.Size()) - src.Len(); n != taken || p.Len() != held+n {
			t.Errorf("behind %d bytes: moved %d of %d taken, %v; the pipe holds %d", held, n, taken, err, p.Len())
		}
		if side, _ := penstock.SideOf(err); n == 0 && (!errors.Is(err, penstock.ErrWouldBlock) || side != penstock.SideSink) {
			t.Errorf("behind %d bytes: %v", held, err)
		}
	}
}

// TestAPipeOfItsOwnArenaLeavesNothing: nobody else could give it back.
func TestAPipeOfItsOwnArenaLeavesNothing(t *testing.T) {
	before := penstock.PagesInUse()
	p := penstock.NewPipe(2)
	if _, err := penstock.Splice(background, p, bytes.NewReader(pattern(10)), 10, 0); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if after := penstock.PagesInUse(); after != before {
		t.Errorf("pages in use: %d before, %d after", before, after)
	}
}
