package mirror_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-io/penstock/internal/mirror"
	"github.com/penstock-io/penstock/relay"
)

// witnessed is a relay with mirrors, and in front of it somebody who writes down what real clients say and hear:
//
//	client ⇄ witness ⇄ relay ⇄ server
//	                     └──▸ files, captures, a socket, nobody
type witnessed struct {
	addr   string // where clients connect
	dir    string
	shadow *shadow
	small  bool // everything comes in messages too small to be spliced

	mu    sync.Mutex // guards what follows
	seen  map[netip.AddrPort]*dialogue
	ended map[netip.AddrPort]relay.Record
}

// dialogue is what went through a connection of the witness.
type dialogue struct {
	said, heard bytes.Buffer
	cut         atomic.Bool // somebody has hung up before everything was through
}

// shadow is a server that only listens, and keeps a sum of each thing that it has heard.
type shadow struct {
	addr string
	sums chan string
}

func sum(b []byte) string { return fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b)) }

func newShadow(t *testing.T) *shadow {
	s := &shadow{sums: make(chan string, 10000)}
	s.addr = serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		b, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("a mirror: %v", err)
		}
		s.sums <- sum(b)
	}).Addr().String()
	return s
}

// heard waits for so many things that it was told, and returns the sums of all there are.
func (s *shadow) heard(n int) (sums []string) {
	late := time.After(20 * time.Second)
	for len(sums) < n || len(s.sums) > 0 {
		select {
		case one := <-s.sums:
			sums = append(sums, one)
		case <-late:
			return sums
		}
	}
	return sums
}

// witness puts a relay and its witness in front of a server. When the test is over it compares what they have.
func witness(t *testing.T, server string, noSplice bool) *witnessed {
	t.Helper()
	w := &witnessed{
		dir: t.TempDir(), shadow: newShadow(t),
		seen: make(map[netip.AddrPort]*dialogue), ended: make(map[netip.AddrPort]relay.Record),
	}
	c := relay.Config{
		Name: "test", Targets: []relay.Target{{Address: server}}, NoSplice: noSplice,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Access: func(rec relay.Record) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended[rec.From] = rec
		},
	}
	const queue = "queue=256MiB"
	for _, text := range []string{
		"file:" + w.dir + "/%c.%d?direction=both&" + queue, "tcp://" + w.shadow.addr + "?direction=both&" + queue,
		"capture:" + w.dir + "/%c.capture?" + queue, "null:",
	} {
		m, err := mirror.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Linger = time.Minute
		c.Mirrors = append(c.Mirrors, m)
	}
	r, err := relay.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error)
	go func() { over <- r.Serve(context.Background(), l) }() // the test's own is done before what follows
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(r.Shutdown(ctx), <-over); err != nil {
			t.Error(err)
		}
		if n := r.Stats().Spliced; noSplice && n > 0 || !noSplice && n == 0 && !w.small {
			t.Errorf("%d bytes were spliced", n)
		}
		w.compare(t)
	})
	front := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { w.pass(t, c.(*net.TCPConn), l.Addr().String()) })
	w.addr = front.Addr().String()
	return w
}

// pass relays a connection, and writes it down.
func (w *witnessed) pass(t *testing.T, client *net.TCPConn, to string) {
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	var d dialogue
	w.mu.Lock()
	w.seen[c.LocalAddr().(*net.TCPAddr).AddrPort()] = &d
	w.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { d.note(c.(*net.TCPConn), client, &d.said) })
	d.note(client, c.(*net.TCPConn), &d.heard)
	both.Wait()
}

// note passes on one direction. Real clients hang up as they like, which is not the witness's to judge.
func (d *dialogue) note(to, from *net.TCPConn, b *bytes.Buffer) {
	if _, err := io.Copy(to, io.TeeReader(from, b)); err != nil {
		d.cut.Store(true)
		_ = from.CloseRead()
	}
	_ = to.CloseWrite()
}

// compare holds against each other what the witness and the mirrors have.
func (w *witnessed) compare(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) == 0 {
		t.Error("nobody came")
	}
	var mirrored []string
	cut := 0
	for from, d := range w.seen {
		rec, ok := w.ended[from]
		if !ok {
			t.Errorf("%v: the relay does not know it", from)
			continue
		}
		if rec.Lost != 0 {
			t.Errorf("%d bytes lost: %v", rec.Lost, rec)
		}
		whole := rec.End == "--" && !d.cut.Load()
		if !whole {
			cut++
		}
		forward, backward := w.had(t, rec, "forward"), w.had(t, rec, "backward")
		if !same(d.said.Bytes(), forward, whole) || !same(backward, d.heard.Bytes(), whole) {
			t.Errorf("the files have %d and %d bytes of %d and %d, or others: %v",
				len(forward), len(backward), d.said.Len(), d.heard.Len(), rec)
		}
		if len(forward)+len(backward) > 0 {
			f, b := captured(t, w.path(rec, "capture"), rec.End)
			if !bytes.Equal(f, forward) || !bytes.Equal(b, backward) {
				t.Errorf("the capture has %d and %d bytes, the files %d and %d, or others: %v",
					len(f), len(b), len(forward), len(backward), rec)
			}
		}
		for _, b := range [][]byte{forward, backward} {
			if len(b) > 0 {
				mirrored = append(mirrored, sum(b))
			}
		}
	}
	heard := w.shadow.heard(len(mirrored))
	slices.Sort(mirrored)
	slices.Sort(heard)
	if !slices.Equal(mirrored, heard) {
		t.Errorf("%d went to the socket, %d to files, or others", len(heard), len(mirrored))
	}
	t.Logf("%d connections, %d of them cut, %d mirrored directions", len(w.seen), cut, len(mirrored))
}

func (w *witnessed) path(rec relay.Record, kind string) string {
	return filepath.Join(w.dir, fmt.Sprintf("%d.%s", rec.ID, kind))
}

// had returns what the mirror has of one direction: there is no file of one in which nothing was said.
func (w *witnessed) had(t *testing.T, rec relay.Record, direction string) []byte {
	path := w.path(rec, direction)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return read(t, path)
}

// same tells whether what came later on the way is what came earlier: of a connection that was cut it may lack the
// last, and nothing else.
func same(earlier, later []byte, whole bool) bool {
	if whole {
		return bytes.Equal(earlier, later)
	}
	return bytes.HasPrefix(earlier, later)
}
