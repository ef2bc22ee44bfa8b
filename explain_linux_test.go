package penstock_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
)

// TestExplainForetellsTheWay that most of the bytes then take, between any two ends, and moves none of them.
func TestExplainForetellsTheWay(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	turn := 0
	for _, from := range origins() {
		for _, to := range termini() {
			for _, how := range []struct {
				name string
				opts []penstock.Option
			}{
				{"any way", nil},
				{"no splice", []penstock.Option{penstock.WithoutSplice()}},
				{"stable", []penstock.Option{penstock.WithStable()}},
				{"no pipe to be had", []penstock.Option{penstock.WithPool(penstock.NewPool(1))}},
				{"queue", []penstock.Option{penstock.WithQueue(0, penstock.Queue{Size: 1 << 20})}},
			} {
				if turn++; !exhaustive && turn%3 > 0 {
					continue
				}
				t.Run(from.name+" to "+to.name+", "+how.name, func(t *testing.T) {
					available(t, from.name, to.name)
					src := from.open(t, data)
					dst, got := to.open(t)
					told, err := penstock.Explain(dst, src, how.opts...)
					if err != nil {
						t.Fatal(err)
					}
					rep, err := penstock.Copy(t.Context(), dst, src, how.opts...)
					if err != nil {
						t.Fatal(err)
					}
					if b := got(); !bytes.Equal(b, data) {
						t.Fatalf("the sink got %d bytes, not the %d of the source, or others", len(b), len(data))
					}
					if told.Path != most(rep) || told.Why == "" || told.Outputs != nil {
						t.Errorf("told %v, and most went by %s: %v", told, most(rep), rep)
					}
				})
			}
		}
	}
}

// TestExplainTellsOfEachOutput how it gets the bytes: by tee, or by what it refuses that for.
func TestExplainTellsOfEachOutput(t *testing.T) {
	src := tcpSource(t, nil)
	conn, _ := socket(t, "tcp")
	appended := tempFile(t, nil, os.O_RDWR|os.O_APPEND)
	told, err := penstock.Explain(conn, src, penstock.WithTee(appended, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	const small = ": messages of less than 4096 bytes are read and written"
	want := []penstock.Explanation{
		{Path: penstock.PathTeeSplice, Why: "TCP socket to TCP socket" + small},
		{Path: penstock.PathReadWrite, Why: "TCP socket to file: file refused splice: invalid argument"},
		{Path: penstock.PathReadWrite, Why: "TCP socket to a plain writer: no descriptor"},
	}
	here := penstock.Probe()
	if here.Splice.State == penstock.VerbRefused || here.Tee.State == penstock.VerbRefused {
		for _, e := range append(told.Outputs, told) {
			if e.Path != penstock.PathReadWrite {
				t.Errorf("told %v", told)
			}
		}
		return
	}
	if told.Path != want[0].Path || told.Why != want[0].Why || len(told.Outputs) != len(want) {
		t.Errorf("told %v, and %v", told, told.Outputs)
		return
	}
	for i, e := range told.Outputs {
		if e.Path != want[i].Path || e.Why != want[i].Why {
			t.Errorf("output %d: told %v, want %v", i, e, want[i])
		}
	}
}

// TestExplainMovesNothing, not even a position, of ends that have something, that are full, or that have nothing yet.
func TestExplainMovesNothing(t *testing.T) {
	pool := penstock.NewPool(1 << 20)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	file := tempFile(t, []byte("abcdef"), os.O_RDWR)
	if _, err := file.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	other := tempFile(t, []byte("ghi"), os.O_RDWR)
	near, far := socket(t, "tcp")
	for range 2 {
		for _, ends := range [][2]any{{file, r}, {file, near}, {near, r}, {w, near}, {w, file}, {near, file}, {other, file}} {
			if _, err := penstock.Explain(ends[0].(io.Writer), ends[1].(io.Reader), penstock.WithPool(pool)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.WriteString("x"); err != nil { // the second time the source has something
			t.Fatal(err)
		}
		if _, err := far.Write([]byte("y")); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 9)
	if n, err := r.Read(b); n != 2 || err != nil {
		t.Errorf("the FIFO has %q, %v", b[:n], err)
	}
	if _, err := io.ReadFull(near, b[:2]); err != nil || string(b[:2]) != "yy" {
		t.Errorf("the socket has %q, %v", b[:2], err)
	}
	if at, err := file.Seek(0, io.SeekCurrent); at != 2 || err != nil {
		t.Errorf("the file stands at %d, %v", at, err)
	}
	for f, want := range map[*os.File]string{file: "abcdef", other: "ghi"} {
		if b, err := os.ReadFile(f.Name()); string(b) != want || err != nil {
			t.Errorf("the file has %q, %v", b, err)
		}
	}
	if s := pool.Stats(); s.Held != s.Idle {
		t.Errorf("pipes were kept: %+v", s)
	}
}

// TestExplainFailsAsCopyWould before it begins.
func TestExplainFailsAsCopyWould(t *testing.T) {
	conn, _ := socket(t, "tcp")
	for name, c := range map[string]struct {
		dst  io.Writer
		src  io.Reader
		opts []penstock.Option
		want error
	}{
		"no source":  {conn, nil, nil, syscall.EINVAL},
		"no sink":    {nil, bytes.NewReader(nil), nil, syscall.EINVAL},
		"limit":      {conn, bytes.NewReader(nil), []penstock.Option{penstock.WithLimit(-1)}, syscall.EINVAL},
		"half-close": {io.Discard, bytes.NewReader(nil), []penstock.Option{penstock.WithHalfClose()}, errors.ErrUnsupported},
	} {
		told, err := penstock.Explain(c.dst, c.src, c.opts...)
		_, cerr := penstock.Copy(t.Context(), c.dst, c.src, c.opts...)
		if !errors.Is(err, c.want) || cerr == nil || err.Error() != cerr.Error() || told.Path != "" {
			t.Errorf("%s: told %v, %v; Copy says %v", name, told, err, cerr)
		}
	}
}

// TestExplainOfNothingSaysSo: a limit of no bytes has no way.
func TestExplainOfNothingSaysSo(t *testing.T) {
	conn, _ := socket(t, "tcp")
	told, err := penstock.Explain(conn, tempFile(t, []byte("x"), os.O_RDONLY), penstock.WithLimit(0))
	if err != nil || told.Path != "" || told.String() != "nothing is to be moved" {
		t.Errorf("%v, %v", told, err)
	}
}
