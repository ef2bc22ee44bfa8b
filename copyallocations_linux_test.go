package penstock_test

import (
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/penstock-io/penstock"
)

// pingPong sends so many messages through what a Copy relays, each when the one before has come out at the other end: so
// each is a chunk.
func pingPong(t *testing.T, in io.Writer, out io.Reader, n int) {
	t.Helper()
	b := make([]byte, 512)
	for range n {
		if _, err := in.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAChunkCostsNoAllocation on the ways that are for speed: a relay of small messages would leave as much garbage as
// it has chunks. What a transfer costs once, and a first wait, are not counted; nor is a stray one of the runtime's.
func TestAChunkCostsNoAllocation(t *testing.T) {
	const chunks = 2000
	for _, tt := range []struct {
		name  string
		from  func(t *testing.T) (io.Reader, io.WriteCloser)
		to    func(t *testing.T) (io.Writer, io.Reader)
		most  int
		where penstock.Path
	}{
		{"FIFO to FIFO", fifoSource, fifoSink, 0, penstock.PathSplice},
		{"FIFO to TCP", fifoSource, socketSink, 0, penstock.PathSplice},
		{"TCP to FIFO", socketSource, fifoSink, 0, penstock.PathSplice},
		{"TCP to TCP", socketSource, socketSink, 0, penstock.PathReadWrite},
		{"TCP to Pipe", socketSource, memorySink, 0, penstock.PathPages},
		{"Pipe to TCP", memorySource, socketSink, 1, penstock.PathPages},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "TCP to TCP" && underRaceDetector() {
				t.Skip("the race detector drops what a sync.Pool keeps, at random")
			}
			src, in := tt.from(t)
			dst, out := tt.to(t)
			tr := penstock.NewTransfer(dst, src)
			over := make(chan error, 1)
			go func() { _, err := tr.Run(background); over <- err }()
			pingPong(t, in, out, chunks/10)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			pingPong(t, in, out, chunks)
			runtime.ReadMemStats(&after)
			in.Close()
			if err := <-over; err != nil {
				t.Error(err)
			}
			if rep := tr.Report(); rep.Path != tt.where || rep.Delivered != 512*(chunks+chunks/10) {
				t.Errorf("it is about %s: %v", tt.where, rep)
			}
			const stray = chunks / 10
			if n := after.Mallocs - before.Mallocs; n > uint64(tt.most*chunks+stray) {
				t.Errorf("%d allocations for %d chunks", n, chunks)
			} else {
				t.Logf("%d allocations for %d chunks", n, chunks)
			}
		})
	}
}

func underRaceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func fifoSource(t *testing.T) (io.Reader, io.WriteCloser)   { return fifo(t) }
func socketSource(t *testing.T) (io.Reader, io.WriteCloser) { return socket(t, "tcp") }

func memorySource(t *testing.T) (io.Reader, io.WriteCloser) {
	p := memoryPipe(t, 0)
	return p, writeCloser{p}
}

func fifoSink(t *testing.T) (io.Writer, io.Reader) {
	r, w := fifo(t)
	return w, r
}

func socketSink(t *testing.T) (io.Writer, io.Reader) { return socket(t, "tcp") }

func memorySink(t *testing.T) (io.Writer, io.Reader) {
	p := memoryPipe(t, 0)
	return p, p
}

// TestACallOfSendfileCostsNoAllocation: a socket that takes a little at a time makes many of them.
func TestACallOfSendfileCostsNoAllocation(t *testing.T) {
	data := pattern(16 << 20)
	near, far := socket(t, "tcp")
	squeeze(t, near, far)
	src := tempFile(t, data, os.O_RDONLY)
	drink := make([]byte, 16<<10)
	go func() {
		for {
			if _, err := far.Read(drink); err != nil {
				return
			}
		}
	}()
	var before, after runtime.MemStats
	tr := penstock.NewTransfer(near, src)
	runtime.ReadMemStats(&before)
	rep, err := tr.Run(background)
	runtime.ReadMemStats(&after)
	if err != nil || rep.By(penstock.PathSendfile) != int64(len(data)) {
		t.Errorf("%v, %v", rep, err)
	}
	if rep.Calls < 200 {
		t.Skipf("no more than %d calls", rep.Calls)
	}
	if n := after.Mallocs - before.Mallocs; int64(n) > 50+rep.Calls/10 {
		t.Errorf("%d allocations in %d calls", n, rep.Calls)
	} else {
		t.Logf("%d allocations in %d calls", n, rep.Calls)
	}
}
