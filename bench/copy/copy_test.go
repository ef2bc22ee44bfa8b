package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
)

// The benchmarks have the names and shapes of those in Go's net package, so that figures can be set beside one
// another; the last part of a name says who copies, for benchstat -col /copy. CPU-ns/MB is the time of this process
// alone: the source and the sink are others.

func TestMain(m *testing.M) {
	if name := role.Mine(); name != "" {
		role.Exit(name, playRole(name))
	}
	os.Exit(m.Run())
}

func BenchmarkSplice(b *testing.B) {
	eachSize(b, "tcp-to-tcp", spec{From: overTCP, To: overTCP})
	eachSize(b, "unix-to-tcp", spec{From: overUnix, To: overTCP})
	eachSize(b, "tcp-to-unix", spec{From: overTCP, To: overUnix})
}

func BenchmarkSpliceFile(b *testing.B) {
	eachSize(b, "tcp-to-file", spec{From: overTCP, To: os.DevNull})
	eachSize(b, "unix-to-file", spec{From: overUnix, To: os.DevNull})
}

func BenchmarkSendFile(b *testing.B) {
	eachSize(b, "file-to-tcp", spec{From: onTmpfs, To: overTCP})
	eachSize(b, "file-to-unix", spec{From: onTmpfs, To: overUnix})
}

// eachSize copies chunks of 1 KiB to 1 MiB, in turn by both.
func eachSize(b *testing.B, name string, s spec) {
	for i := 0; i <= 10; i++ {
		s.Write = 1 << (i + 10)
		for _, c := range []struct{ name, kind string }{{"io", kindIO}, {"penstock", kindPenstock}} {
			s.Kind = c.kind
			b.Run(fmt.Sprintf("%s/%d/copy=%s", name, s.Write, c.name), func(b *testing.B) { benchmarkStream(b, s) })
		}
	}
}

// benchmarkStream copies b.N chunks in this process.
func benchmarkStream(b *testing.B, s spec) {
	s.Congestion = "cubic" // bbr would pace
	s.Bytes = int64(b.N) * int64(s.Write)
	if isFile(s.From) {
		s.Files = map[string]string{s.From: b.TempDir()}
		if err := fillFile(filepath.Join(s.Files[s.From], sourceName), int(s.Bytes)); err != nil {
			b.Fatal(err)
		}
	}
	c := &cast{spec: spec{Case: "stream"}}
	defer c.dismiss()
	var sink *role.Process
	st, err := openStage(&s, func() (err error) {
		if isSocket(s.To) {
			if sink, err = c.start("sink"); err == nil {
				err = sink.In.Encode(s)
			}
		}
		if err == nil && isSocket(s.From) {
			var source *role.Process
			if source, err = c.start("source"); err == nil {
				err = source.In.Encode(s)
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	defer st.close()
	if err := awaitReadable(st.src); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(s.Write))
	b.ReportAllocs()
	spent := machine.ProcessCPU()
	b.ResetTimer()
	n, err := streamKinds[s.Kind](st.writers(), st.src)
	b.StopTimer()
	spent = machine.ProcessCPU() - spent
	if err != nil || n != s.Bytes {
		b.Fatalf("%d bytes copied instead of %d: %v", n, s.Bytes, err)
	}
	b.ReportMetric(float64(spent)/(float64(n)/1e6), "cpu-ns/MB")
	if sink == nil {
		return
	}
	var arrived drained
	if err := st.closeSinks(); err != nil {
		b.Fatal(err)
	}
	if err := sink.Out.Decode(&spec{}); err != nil {
		b.Fatal(err)
	}
	if err := sink.Out.Decode(&arrived); err != nil || arrived.Bytes != n {
		b.Fatalf("%d of %d bytes arrived: %v", arrived.Bytes, n, err)
	}
}

func TestEveryComparisonIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range comparisons() {
		if seen[c.Name] {
			t.Errorf("%s: there are two", c.Name)
		}
		seen[c.Name] = true
		if sorts[c.Run.Case].direct == nil {
			t.Errorf("%s: no sort %q", c.Name, c.Run.Case)
		}
		kinds := map[string]bool{}
		for _, k := range c.Kinds {
			kinds[k.String()] = true
			if streamKinds[k.String()] == nil && relayKinds[k.String()] == nil {
				t.Errorf("%s: no kind %q", c.Name, k)
			}
		}
		for _, g := range c.Goals {
			for _, k := range append([]string{cmp.Or(g.Kind, kindPenstock)}, g.Against...) {
				if !kinds[k] {
					t.Errorf("%s: a goal for %q, which is not measured", c.Name, k)
				}
			}
			if g.Metric >= len(c.Metrics) {
				t.Errorf("%s: a goal for metric %d", c.Name, g.Metric)
			}
		}
	}
}

// TestEverySortMeasures makes one short run of each kind of each sort and of each pair of ends.
func TestEverySortMeasures(t *testing.T) {
	w, err := newWorkplace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.remove)
	common := spec{Files: w.files}
	for _, c := range comparisons() {
		t.Run(c.Name, func(t *testing.T) {
			for _, k := range c.Kinds {
				s := c.Run
				s.For = 20 * time.Millisecond
				if s.Conns > 0 {
					s.Conns = 20
				}
				got, err := common.measure(s, k)
				if err != nil {
					t.Fatalf("%s: %v", k, err)
				}
				if len(got.Values) != len(c.Metrics) {
					t.Fatalf("%s: %d values for %d metrics", k, len(got.Values), len(c.Metrics))
				}
			}
		})
	}
}

func TestTheCopyOfAStreamLosesNoByte(t *testing.T) {
	for kind, copyStream := range streamKinds {
		if kind == kindOptions {
			continue // a file cannot be half-closed
		}
		want := make([]byte, 3<<20+5)
		for i := range want {
			want[i] = byte(i % 251)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		written := make(chan error, 1)
		go func() {
			_, err := w.Write(want)
			w.Close()
			written <- err
		}()
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n, err := copyStream([]io.Writer{f}, r)
		if werr := <-written; err == nil {
			err = werr
		}
		got, rerr := os.ReadFile(f.Name())
		if err != nil || rerr != nil || n != int64(len(want)) || string(got) != string(want) {
			t.Errorf("%s: %d bytes of %d, %v, %v, or other ones", kind, n, len(want), err, rerr)
		}
	}
}
