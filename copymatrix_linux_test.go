package penstock_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/penstock-io/penstock"
)

// origin is a kind of source, and terminus a kind of sink.
type (
	origin struct {
		name string
		open func(t *testing.T, data []byte) io.Reader
	}
	terminus struct {
		name string
		open func(t *testing.T) (w io.Writer, got func() []byte)
	}
)

// feed writes data to what a source reads from, and closes it.
func feed(t *testing.T, w io.WriteCloser, data []byte) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := w.Write(data); err != nil {
			t.Errorf("feeding the source: %v", err)
		}
		w.Close()
	}()
	t.Cleanup(func() { <-done })
}

// drink reads what a sink has been given, to its end.
func drink(t *testing.T, r io.Reader) (got func() []byte) {
	t.Helper()
	all := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(r)
		if err != nil {
			t.Errorf("reading what the sink got: %v", err)
		}
		all <- b
	}()
	return func() []byte { return <-all }
}

func tempFile(t *testing.T, data []byte, flags int) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func tcpSource(t *testing.T, data []byte) io.Reader {
	near, far := socket(t, "tcp")
	feed(t, far, data)
	return near
}

// aheadOf is a bufio.Reader that has read some of what it reads from.
func aheadOf(t *testing.T, r io.Reader) *bufio.Reader {
	t.Helper()
	b := bufio.NewReader(r)
	if _, err := b.Peek(1); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return b
}

// countingConn is a wrapper of a connection, as people write them.
type countingConn struct {
	net.Conn
	n int
}

func (c *countingConn) NetConn() net.Conn { return c.Conn }
func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n += n
	return n, err
}

func origins() []origin {
	return []origin{
		{"TCP", tcpSource},
		{"Unix", func(t *testing.T, data []byte) io.Reader {
			near, far := socket(t, "unix")
			feed(t, far, data)
			return near
		}},
		{"file", func(t *testing.T, data []byte) io.Reader { return tempFile(t, data, os.O_RDONLY) }},
		{"window of a file", func(t *testing.T, data []byte) io.Reader {
			f := tempFile(t, append([]byte("before"), append(data, "after"...)...), os.O_RDONLY)
			return io.NewSectionReader(f, 6, int64(len(data)))
		}},
		{"FIFO", func(t *testing.T, data []byte) io.Reader {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			feed(t, w, data)
			return r
		}},
		{"Pipe", func(t *testing.T, data []byte) io.Reader {
			p := penstock.NewPipe(0)
			t.Cleanup(func() { p.Close() })
			feed(t, writeCloser{p}, data)
			return p
		}},
		{"KernelPipe", func(t *testing.T, data []byte) io.Reader {
			p := kernelPipe(t)
			feed(t, writeCloser{p}, data)
			return p
		}},
		{"bytes.Reader", func(_ *testing.T, data []byte) io.Reader { return bytes.NewReader(data) }},
		{"bufio over TCP", func(t *testing.T, data []byte) io.Reader { return aheadOf(t, tcpSource(t, data)) }},
		{"bufio over a file", func(t *testing.T, data []byte) io.Reader {
			return aheadOf(t, tempFile(t, data, os.O_RDONLY))
		}},
		{"limit over TCP", func(t *testing.T, data []byte) io.Reader {
			return io.LimitReader(tcpSource(t, append(data, "not this"...)), int64(len(data)))
		}},
		{"limit over bufio over TCP", func(t *testing.T, data []byte) io.Reader {
			return io.LimitReader(aheadOf(t, tcpSource(t, append(data, "not this"...))), int64(len(data)))
		}},
		{"bared connection", func(t *testing.T, data []byte) io.Reader {
			return penstock.Bare(&countingConn{Conn: tcpSource(t, data).(net.Conn)})
		}},
		{"wrapped connection", func(t *testing.T, data []byte) io.Reader {
			return &countingConn{Conn: tcpSource(t, data).(net.Conn)}
		}},
		{"TLS", func(t *testing.T, data []byte) io.Reader {
			near, far := encrypted(t)
			feed(t, far, data)
			return near
		}},
		{"gzip", func(t *testing.T, data []byte) io.Reader {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := gzip.NewReader(tcpSource(t, b.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}},
	}
}

// writeCloser closes a pipe's write end alone.
type writeCloser struct{ penstock.Conduit }

func (w writeCloser) Close() error { return w.Conduit.(interface{ CloseWrite() error }).CloseWrite() }

func termini() []terminus {
	return []terminus{
		{"TCP", func(t *testing.T) (io.Writer, func() []byte) { return drained(t, "tcp") }},
		{"Unix", func(t *testing.T) (io.Writer, func() []byte) { return drained(t, "unix") }},
		{"file", func(t *testing.T) (io.Writer, func() []byte) { return written(t, os.O_RDWR) }},
		{"appended file", func(t *testing.T) (io.Writer, func() []byte) { return written(t, os.O_RDWR|os.O_APPEND) }},
		{"FIFO", func(t *testing.T) (io.Writer, func() []byte) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close(); w.Close() })
			got := drink(t, r)
			return w, func() []byte { w.Close(); return got() }
		}},
		{"Pipe", func(t *testing.T) (io.Writer, func() []byte) {
			p := penstock.NewPipe(0)
			t.Cleanup(func() { p.Close() })
			got := drink(t, p)
			return p, func() []byte { p.CloseWrite(); return got() }
		}},
		{"KernelPipe", func(t *testing.T) (io.Writer, func() []byte) {
			p := kernelPipe(t)
			got := drink(t, p)
			return p, func() []byte { p.CloseWrite(); return got() }
		}},
		{"bytes.Buffer", func(*testing.T) (io.Writer, func() []byte) {
			var b bytes.Buffer
			return &b, b.Bytes
		}},
		{"TLS", func(t *testing.T) (io.Writer, func() []byte) {
			near, far := encrypted(t)
			got := drink(t, far)
			return near, func() []byte { near.Close(); return got() }
		}},
	}
}

// pathsTaken are the ways that most of a bulk transfer takes, a row for each source, a letter for each sink in the order of
// termini.
var pathsTaken = map[string]string{
	"TCP":                       "sssrspsrr",
	"Unix":                      "sssrspsrr",
	"file":                      "ffcrspsrr",
	"window of a file":          "ffcrrprrr",
	"FIFO":                      "sssrspsrr",
	"Pipe":                      "ppppppppp",
	"KernelPipe":                "sssrspsrr",
	"bytes.Reader":              "rrrrrprrr",
	"bufio over TCP":            "sssrspsrr",
	"bufio over a file":         "ffcrspsrr",
	"limit over TCP":            "sssrspsrr",
	"limit over bufio over TCP": "sssrspsrr",
	"bared connection":          "sssrspsrr",
	"wrapped connection":        "rrrrrprrr",
	"TLS":                       "rrrrrprrr",
	"gzip":                      "rrrrrprrr",
}

var letters = map[byte]penstock.Path{
	's': penstock.PathSplice, 'f': penstock.PathSendfile, 'c': penstock.PathCopyFileRange,
	'p': penstock.PathPages, 'r': penstock.PathReadWrite,
}

// allowed returns the way that is taken instead where a sandbox refuses the one that would be.
func allowed(want penstock.Path, from, to string) penstock.Path {
	here := penstock.Probe()
	refused := func(v penstock.Verb) bool { return v.State == penstock.VerbRefused }
	if want == penstock.PathSendfile && refused(here.Sendfile) || want == penstock.PathCopyFileRange && refused(here.CopyFileRange) {
		want = penstock.PathSplice
		if from == "window of a file" { // which is a reader like any other then
			want = penstock.PathReadWrite
		}
	}
	direct := from == "FIFO" || to == "FIFO" // which needs no pipe in between, and so no tee
	if want == penstock.PathSplice && (refused(here.Splice) || refused(here.Tee) && !direct) {
		want = penstock.PathReadWrite
	}
	return want
}

// available skips the test, before it has opened anything, where kernel pipes are among its ends and a sandbox refuses
// them.
func available(t *testing.T, ends ...string) {
	t.Helper()
	if slices.Contains(ends, "KernelPipe") {
		kernelPipe(t).Close()
	}
}

// most returns the way that took the most bytes.
func most(rep penstock.Report) (most penstock.Path) {
	most = penstock.PathReadWrite
	for _, path := range letters {
		if rep.By(path) > rep.By(most) {
			most = path
		}
	}
	return most
}

func TestCopyCarriesEveryByteBetweenAnyTwoEnds(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	for _, from := range origins() {
		for column, to := range termini() {
			for _, how := range []struct {
				name string
				opts []penstock.Option
				want penstock.Path
			}{
				{"any way", nil, letters[pathsTaken[from.name][column]]},
				{"no splice", []penstock.Option{penstock.WithoutSplice()}, penstock.PathReadWrite},
				{"no pipe to be had", []penstock.Option{penstock.WithPool(penstock.NewPool(1))}, ""},
				{"two slots", []penstock.Option{penstock.WithPipeSize(8192)}, ""},
			} {
				t.Run(from.name+" to "+to.name+", "+how.name, func(t *testing.T) {
					available(t, from.name, to.name)
					src := from.open(t, data)
					dst, got := to.open(t)
					rep, err := penstock.Copy(context.Background(), dst, src, how.opts...)
					if err != nil {
						t.Fatal(err)
					}
					if b := got(); !bytes.Equal(b, data) {
						t.Fatalf("the sink got %d bytes, not the %d of the source, or others", len(b), len(data))
					}
					if n := int64(len(data)); rep.Consumed != n || rep.Delivered != n {
						t.Errorf("consumed %d, delivered %d, of %d", rep.Consumed, rep.Delivered, n)
					}
					if want := allowed(how.want, from.name, to.name); want != "" && most(rep) != want {
						t.Errorf("most went by %q, not by %q: %v", most(rep), want, rep)
					}
				})
			}
		}
	}
}
