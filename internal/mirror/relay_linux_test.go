package mirror_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock/internal/mirror"
	"github.com/penstock-io/penstock/relay"
	"github.com/penstock-io/penstock/relay/capture"
)

// noise is bytes that are nowhere the same.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// running is a relay to a server that says back the complement of what it hears, so that the directions differ.
type running struct {
	*relay.Relay
	addr    string
	records chan relay.Record
	log     said
}

// said is a log.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func complement(b []byte) []byte {
	c := bytes.Clone(b)
	for i := range c {
		c[i] ^= 0xff
	}
	return c
}

// serve calls f with each connection.
func serve(t *testing.T, network, addr string, f func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l
}

func run(t *testing.T, noSplice bool, linger time.Duration, mirrors ...string) *running {
	t.Helper()
	server := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		b := make([]byte, 64<<10)
		for {
			n, err := c.Read(b)
			if _, werr := c.Write(complement(b[:n])); err != nil || werr != nil {
				break
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
	})
	r := &running{records: make(chan relay.Record, 100)}
	c := relay.Config{
		Name: "test", Targets: []relay.Target{{Address: server.Addr().String()}}, NoSplice: noSplice,
		Access: func(rec relay.Record) { r.records <- rec }, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	for _, text := range mirrors {
		m, err := mirror.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Linger = linger
		c.Mirrors = append(c.Mirrors, m)
	}
	var err error
	if r.Relay, err = relay.New(c); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	over := make(chan error)
	go func() { over <- r.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		r.Close()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return r
}

// converse sends everything through the relay, and requires the whole answer.
func (r *running) converse(t *testing.T, data []byte) {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	go func() {
		_, err := c.Write(data)
		if err = errors.Join(err, c.(*net.TCPConn).CloseWrite()); err != nil {
			t.Error(err)
		}
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, complement(data)) {
		t.Errorf("the client has %d bytes of %d, or others: %v", len(got), len(data), err)
	}
}

// ended waits for the record of the next connection that is over, and for its mirrors.
func (r *running) ended(t *testing.T) relay.Record {
	t.Helper()
	select {
	case rec := <-r.records:
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		return rec
	case <-time.After(30 * time.Second):
		t.Fatal("no connection is over")
		panic("not reached")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return b
}

// ways are with splice and without.
func ways(t *testing.T, f func(t *testing.T, noSplice bool)) {
	for _, noSplice := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoSplice=%v", noSplice), func(t *testing.T) { f(t, noSplice) })
	}
}

// TestMirrorsHaveEveryByte of both directions, whatever they are.
func TestMirrorsHaveEveryByte(t *testing.T) {
	ways(t, func(t *testing.T, noSplice bool) {
		for _, n := range []int{1, 5000, 3<<20 + 1} {
			dir := t.TempDir()
			data := noise(n)
			var mu sync.Mutex
			shadows := map[string][]byte{}
			shadow := func(name string) func(net.Conn) {
				return func(c net.Conn) {
					go func() { _, _ = c.Write(noise(1 << 20)) }() // what nobody wants to hear
					b, err := io.ReadAll(c)
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					mu.Lock()
					defer mu.Unlock()
					shadows[name] = b
				}
			}
			tcp := serve(t, "tcp", "127.0.0.1:0", shadow("tcp"))
			unix := serve(t, "unix", filepath.Join(dir, "s"), shadow("unix"))
			const queue = "queue=16MiB"
			r := run(t, noSplice, 20*time.Second,
				"file:"+dir+"/new/%n/f.%d?direction=both&"+queue, "capture:"+dir+"/%n.cap?"+queue,
				"tcp://"+tcp.Addr().String()+"?"+queue, "unix:"+unix.Addr().String()+"?direction=backward&"+queue,
				"exec?direction=both&"+queue+":cat >"+dir+"/e.$PENSTOCK_DIRECTION", "null:?direction=both&"+queue)
			r.converse(t, data)
			rec := r.ended(t)
			if rec.End != "--" || rec.Error != "" || rec.Lost != 0 || rec.Mirrored != int64(10*n) {
				t.Errorf("%+v", rec)
			}
			if st := r.Stats(); !noSplice && n > 1<<20 && (rec.Path != "tee+splice" || st.Spliced < int64(n)) {
				t.Errorf("by %s, %d bytes spliced", rec.Path, st.Spliced)
			}
			if s := r.log.String(); s != "" {
				t.Error(s)
			}
			forward, backward := captured(t, dir+"/test.cap", "--")
			mu.Lock()
			for name, pair := range map[string][2][]byte{
				"file, forward":     {read(t, dir+"/new/test/f.forward"), data},
				"file, backward":    {read(t, dir+"/new/test/f.backward"), complement(data)},
				"capture, forward":  {forward, data},
				"capture, backward": {backward, complement(data)},
				"tcp":               {shadows["tcp"], data},
				"unix":              {shadows["unix"], complement(data)},
				"exec, forward":     {read(t, dir+"/e.forward"), data},
				"exec, backward":    {read(t, dir+"/e.backward"), complement(data)},
			} {
				if !bytes.Equal(pair[0], pair[1]) {
					t.Errorf("%s: %d bytes of %d, or others", name, len(pair[0]), len(pair[1]))
				}
			}
			mu.Unlock()
		}
	})
}

// captured reads a capture that is whole and lacks nothing, and returns what went either way.
func captured(t *testing.T, path, end string) (forward, backward []byte) {
	t.Helper()
	r, err := capture.NewReader(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	for {
		f, err := r.Next()
		if err != nil {
			e, _ := r.Ending()
			if err != io.EOF || e.Termination.String() != end || e.Forward.Lost+e.Backward.Lost != 0 ||
				r.Info().Relay != "test" {
				t.Errorf("%v, %+v, %+v", err, e, r.Info())
			}
			return forward, backward
		}
		if f.Direction == relay.Forward {
			forward = append(forward, f.Data...)
		} else {
			backward = append(backward, f.Data...)
		}
	}
}

// TestAFileThatIsThereIsNotWrittenTo: another is made beside it.
func TestAFileThatIsThereIsNotWrittenTo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/f", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, false, 0, "file:"+dir+"/f")
	r.converse(t, []byte("new"))
	if rec := r.ended(t); rec.Lost != 0 || string(read(t, dir+"/f")) != "mine" || string(read(t, dir+"/f.1")) != "new" {
		t.Errorf("%+v", rec)
	}
}

// TestAMirrorThatFailsHarmsNobody: the client has every byte, the connection ends well, and what the mirror lacks is
// counted and logged, with why.
func TestAMirrorThatFailsHarmsNobody(t *testing.T) {
	refuses, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refuses.Close()
	stop := make(chan struct{})
	never := serve(t, "tcp", "127.0.0.1:0", func(net.Conn) { <-stop })
	dies := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 100_000))
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	slow := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		b := make([]byte, 1000)
		for _, err := c.Read(b); err == nil; _, err = c.Read(b) {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop) }) // before the servers wait
	dir := t.TempDir()
	for name, one := range map[string]struct{ mirror, why string }{
		"refuses":         {"tcp://" + refuses.Addr().String(), "connection refused"},
		"never reads":     {"tcp://" + never.Addr().String() + "?on-slow=skip&queue=1M&sndbuf=64k", "queue is not empty in time"},
		"never, given up": {"tcp://" + never.Addr().String() + "?queue=1M&sndbuf=64k", "queue is full"},
		"slow":            {"tcp://" + slow.Addr().String() + "?sndbuf=64k", "queue is not empty in time"},
		"is killed":       {"tcp://" + dies.Addr().String() + "?queue=16MiB&sndbuf=64k", "connection reset|broken pipe"},
		"no shadow":       {"unix:" + dir + "/none", "no such file"},
		"a command exits": {"exec:head -c 1000 >/dev/null; exit 3", "broken pipe"},
		"no folder":       {"file:/dev/null/x", "not a directory"},
		"no captures":     {"capture:/dev/null/x?queue=16MiB", "not a directory"},
		"a full disk":     {"file:/dev/full", "no space left"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ways(t, func(t *testing.T, noSplice bool) {
				data := noise(3 << 20)
				linger := 10 * time.Second
				if strings.Contains(one.why, "not empty in time") {
					linger = 50 * time.Millisecond
				}
				r := run(t, noSplice, linger, one.mirror)
				r.converse(t, data)
				var rec relay.Record
				select {
				case rec = <-r.records:
				case <-time.After(20 * time.Second):
					t.Fatal("the mirror keeps the connection")
				}
				wanted := int64(len(data))
				if strings.HasPrefix(one.mirror, "capture:") {
					wanted *= 2
				}
				if rec.End != "--" || rec.Error != "" || rec.Lost == 0 || rec.Mirrored+rec.Lost != wanted {
					t.Errorf("%+v", rec)
				}
				if st := r.Stats(); st.Lost != rec.Lost || st.Mirrored != rec.Mirrored {
					t.Errorf("%+v", st)
				}
				said := r.log.String()
				if strings.Contains(said, "address ") {
					t.Errorf("the log says the address besides the mirror: %q", said)
				}
				known := false
				for why := range strings.SplitSeq(one.why, "|") {
					known = known || strings.Contains(said, why)
				}
				if !known || !strings.Contains(said, fmt.Sprintf("lost=%d", rec.Lost)) && wanted == int64(len(data)) {
					t.Errorf("the log says %q", said)
				}
			})
		})
	}
}

// TestAFullDiskLeavesACaptureThatCanBeRead up to there, that says what it lacks.
func TestAFullDiskLeavesACaptureThatCanBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("a small disk takes a mount: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("a file is still open: %v", err)
		}
	})
	ways(t, func(t *testing.T, noSplice bool) {
		path := fmt.Sprintf("%s/%v", dir, noSplice)
		data := noise(3 << 20)
		r := run(t, noSplice, 0, "capture:"+path+"?queue=16MiB")
		r.converse(t, data)
		rec := r.ended(t)
		if rec.End != "--" || rec.Error != "" || rec.Lost == 0 || !strings.Contains(r.log.String(), "no space left") {
			t.Errorf("%+v, %s", rec, &r.log)
		}
		c, err := capture.NewReader(bytes.NewReader(read(t, path)))
		if err != nil {
			t.Fatal(err)
		}
		var had [3]int64
		for {
			f, err := c.Next()
			if err != nil {
				e, ok := c.Ending()
				if err != io.EOF || !ok || had[relay.Forward] == 0 || e.Forward.Had+e.Forward.Lost != 3<<20 ||
					e.Backward.Had+e.Backward.Lost != 3<<20 {
					t.Errorf("%v, %+v", err, e)
				}
				break
			}
			whole := data
			if f.Direction == relay.Backward {
				whole = complement(data)
			}
			at := had[f.Direction]
			if !bytes.Equal(f.Data, whole[at:at+int64(len(f.Data))]) {
				t.Fatalf("%v is another from byte %d on", f.Direction, at)
			}
			had[f.Direction] += int64(len(f.Data))
		}
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
}

// TestACaptureThatIsStuckIsGivenUp: a FIFO that somebody has open, and does not read, keeps neither the connection nor
// the file.
func TestACaptureThatIsStuckIsGivenUp(t *testing.T) {
	ways(t, func(t *testing.T, noSplice bool) {
		path := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		r := run(t, noSplice, 50*time.Millisecond, "capture:"+path)
		r.converse(t, noise(1<<20))
		select {
		case rec := <-r.records:
			if rec.End != "--" || rec.Lost == 0 {
				t.Errorf("%+v", rec)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the capture keeps the connection")
		}
		r.Close()
		open := 0
		for _, fd := range held(t) {
			if fd == path {
				open++
			}
		}
		if open != 1 {
			t.Errorf("the FIFO is open %d times, want only by who does not read it", open)
		}
	})
}

// descriptors are what this process has open.
func held(t *testing.T) (all []string) {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if to, err := os.Readlink("/proc/self/fd/" + n.Name()); err == nil {
			all = append(all, to)
		}
	}
	return all
}
