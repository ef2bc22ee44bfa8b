package penstock

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

// eachBacking runs a test with a pipe of either.
func eachBacking(t *testing.T, test func(t *testing.T, p Conduit)) {
	for _, backing := range []string{"memory", "kernel"} {
		t.Run(backing, func(t *testing.T) {
			leakless(t)
			test(t, ringOf(t, backing, 4*MinPageSize))
		})
	}
}

// intoPipe are the ways in: a Source, and Splice, which makes one for each call.
var intoPipe = map[string]func(p Conduit, r io.Reader, n int) (int, error){
	"SpliceRead": func(p Conduit, r io.Reader, n int) (int, error) { return SourceOf(r).SpliceRead(p, n, 0) },
	"Splice":     func(p Conduit, r io.Reader, n int) (int, error) { return Splice(background, p, r, n, 0) },
}

// TestAReaderThatBreaksItsWordIsASourceThatFails: and the pipe goes on.
func TestAReaderThatBreaksItsWordIsASourceThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		read readerFunc
		want error // nil is any
	}{
		"too many":   {func(b []byte) (int, error) { return len(b) + 10, nil }, nil},
		"negative":   {func([]byte) (int, error) { return -1, nil }, nil},
		"no more":    {func([]byte) (int, error) { return -1, io.EOF }, nil},
		"nothing":    {func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress},
		"an error":   {func([]byte) (int, error) { return 0, errCancelled }, errCancelled},
		"huge count": {func([]byte) (int, error) { return math.MaxInt, nil }, nil},
	} {
		for way, in := range intoPipe {
			t.Run(name+" by "+way, func(t *testing.T) {
				eachBacking(t, func(t *testing.T, p Conduit) {
					n, err := in(p, c.read, 10*MinPageSize)
					if side, ok := SideOf(err); n != 0 || !ok || side != SideSource || c.want != nil && !errors.Is(err, c.want) {
						t.Errorf("%d, %v", n, err)
					}
					if p.Len() != 0 {
						t.Errorf("%d bytes from nowhere", p.Len())
					}
					if n, err := in(p, strings.NewReader("well"), 10); n != 4 || err != nil {
						t.Errorf("%d, %v", n, err)
					}
					if got := mustRead(t, p, 4); got != "well" {
						t.Errorf("%q", got)
					}
				})
			})
		}
	}
}

// TestAnErrorThatComesWithBytesIsNotLost: a Splice has no next call of its Source to tell it.
func TestAnErrorThatComesWithBytesIsNotLost(t *testing.T) {
	for _, want := range []error{io.EOF, errCancelled} {
		eachBacking(t, func(t *testing.T, p Conduit) {
			var told bool
			r := readerFunc(func(b []byte) (int, error) {
				if told { // a reset is told once, and then looks like an end
					return 0, io.EOF
				}
				told = true
				return copy(b, "last"), want
			})
			total, err := 0, error(nil)
			for err == nil {
				var n int
				n, err = Splice(background, p, r, 10, 0)
				total += n
			}
			if total != 4 || !errors.Is(err, want) {
				t.Errorf("%d, %v, want %v", total, err, want)
			}
			if got := mustRead(t, p, 4); got != "last" {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestBytesThatComeWithTheEndAreNotLost, in a loop that counts before it looks at the error, as io.Reader wants it.
func TestBytesThatComeWithTheEndAreNotLost(t *testing.T) {
	want := bytes.Repeat([]byte("penstock"), 2000)
	eachBacking(t, func(t *testing.T, p Conduit) {
		r := iotest.DataErrReader(bytes.NewReader(want))
		var got bytes.Buffer
		for {
			n, err := Splice(background, p, r, 1+got.Len()%5000, 0)
			got.WriteString(mustRead(t, p, n))
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d bytes of %d", got.Len(), len(want))
		}
	})
}

// TestASourceIsNotAskedForNothing: zero bytes or fewer, of whatever source, are EINVAL, and take nothing.
func TestASourceIsNotAskedForNothing(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) Source{
		"a reader": func(*testing.T) Source { return SourceOf(strings.NewReader("kept")) },
		"a pipe": func(t *testing.T) Source {
			p := smallPipe(t, 4)
			p.Write([]byte("kept"))
			return SourceOf(p)
		},
		"a limit":  func(*testing.T) Source { return Limit(SourceOf(strings.NewReader("kept")), 4) },
		"a prefix": func(*testing.T) Source { return Prefix([]byte("ke"), SourceOf(strings.NewReader("pt"))) },
		"read ahead": func(t *testing.T) Source {
			s, err := ReadAhead(strings.NewReader("kept"), 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachBacking(t, func(t *testing.T, p Conduit) {
				defer func() {
					if v := recover(); v != nil {
						t.Errorf("it panics: %v", v)
					}
				}()
				src := open(t)
				for _, n := range []int{0, -1, math.MinInt} {
					if m, err := src.SpliceRead(p, n, 0); m != 0 || !errors.Is(err, syscall.EINVAL) {
						t.Errorf("%d: %d, %v", n, m, err)
					}
				}
				for p.Len() < 4 {
					if _, err := src.SpliceRead(p, 4-p.Len(), 0); err != nil {
						t.Fatal(err)
					}
				}
				if got := mustRead(t, p, 4); got != "kept" {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// TestReadAheadIsGivenAnyLength: what would end behind the last offset there is ends there.
func TestReadAheadIsGivenAnyLength(t *testing.T) {
	leakless(t)
	p := smallPipe(t, 1)
	src, err := ReadAhead(strings.NewReader("0123456789 the rest"), 10, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := src.SpliceRead(p, 9, 0); n != 9 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got := mustRead(t, p, 9); got != " the rest" {
		t.Errorf("%q", got)
	}
	for name, open := range map[string]func() (Source, error){
		"no reader":         func() (Source, error) { return ReadAhead(nil, 0, 1) },
		"a negative offset": func() (Source, error) { return ReadAhead(strings.NewReader(""), -1, 1) },
	} {
		if _, err := open(); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing takes so many bytes and then fails.
type failing struct{ takes int }

func (f *failing) Write(b []byte) (int, error) {
	n := min(len(b), f.takes)
	if f.takes -= n; n < len(b) {
		return n, errCancelled
	}
	return n, nil
}

// TestAnErrorTellsItsPlaceInTheStream: of a source's the bytes before are those ever put in, of a sink's those taken out.
func TestAnErrorTellsItsPlaceInTheStream(t *testing.T) {
	fail := readerFunc(func([]byte) (int, error) { return 0, errCancelled })
	for name, c := range map[string]struct {
		fail func(p *Pipe) error
		side Side
		want int64
	}{
		"a source": {func(p *Pipe) error { _, err := Splice(background, p, fail, 9, 0); return err }, SideSource, 10},
		"a Source": {func(p *Pipe) error { _, err := SourceOf(fail).SpliceRead(p, 9, 0); return err }, SideSource, 10},
		"a source, with bytes": {func(p *Pipe) error {
			_, err := Splice(background, p, iotest.DataErrReader(io.MultiReader(strings.NewReader("xyz"), fail)), 9, 0)
			return err
		}, SideSource, 13},
		"a Source, with bytes": {func(p *Pipe) error {
			src := SourceOf(iotest.DataErrReader(io.MultiReader(strings.NewReader("xyz"), fail)))
			if n, err := src.SpliceRead(p, 9, 0); n != 3 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			_, err := src.SpliceRead(p, 9, 0)
			return err
		}, SideSource, 13},
		"a sink":  {func(p *Pipe) error { _, err := Splice(background, &failing{3}, p, 6, 0); return err }, SideSink, 7},
		"a Sink":  {func(p *Pipe) error { _, err := SinkOf(&failing{3}).SpliceWrite(p, 6, 0); return err }, SideSink, 7},
		"WriteTo": {func(p *Pipe) error { _, err := p.WriteTo(&failing{}); return err }, SideSink, 4},
	} {
		t.Run(name, func(t *testing.T) {
			leakless(t)
			p := smallPipe(t, 4)
			p.Write([]byte("0123456789"))
			p.Discard(4)
			err := c.fail(p)
			var op *OpError
			if !errors.Is(err, errCancelled) || !errors.As(err, &op) || op.Side != c.side || op.Offset != c.want {
				t.Errorf("%#v, want offset %d", err, c.want)
			}
		})
	}
}
