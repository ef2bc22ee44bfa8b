package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/relay"
)

// through sends data through a relay to an echo, and returns what is said of it once the mirrors are closed.
func through(t *testing.T, c relay.Config, data []byte) relay.Record {
	t.Helper()
	c.Targets = []relay.Target{{Address: echo(t)}}
	r := run(t, c)
	client := dial(t, r.addr)
	go say(t, client, data)
	if got := hear(t, client); !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back of %d, or others", len(got), len(data))
	}
	rec := r.ended(t)
	if rec.End != "--" || rec.Error != "" || rec.Forward != int64(len(data)) || rec.Backward != int64(len(data)) {
		t.Errorf("%+v", rec)
	}
	if s := r.Stats(); s.Lost != rec.Lost || s.Mirrored != rec.Mirrored {
		t.Errorf("%+v of %+v", s, rec)
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	return rec
}

// TestWhatHappensToAMirrorHappensToNobodyElse whatever it is, and what it lacks is told: of every byte it is known
// whether the mirror has had it.
func TestWhatHappensToAMirrorHappensToNobodyElse(t *testing.T) {
	data := noise(1<<20 + 1)
	full := smallDisk(t)
	mirrors := map[string]func(t *testing.T) (open openFunc, got func() int64){
		"a disk that is full": func(t *testing.T) (openFunc, func() int64) {
			if full == "" {
				t.Skip("only root can mount a small disk")
			}
			path := filepath.Join(full, "mirror")
			t.Cleanup(func() { _ = os.Remove(path) })
			return func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
				return os.Create(path)
			}, func() int64 { return size(t, path) }
		},
		"a device that is full": func(*testing.T) (openFunc, func() int64) {
			return func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
				return os.OpenFile("/dev/full", os.O_WRONLY, 0)
			}, func() int64 { return 0 }
		},
		"a peer that resets": func(t *testing.T) (openFunc, func() int64) {
			return tightly(server(t, func(c *net.TCPConn) {
				_, _ = io.CopyN(io.Discard, c, 100_000)
				reset(c)
			})), nil
		},
		"a peer that closes at once": func(t *testing.T) (openFunc, func() int64) {
			return tightly(server(t, func(*net.TCPConn) {})), nil
		},
		"a peer that never reads": func(t *testing.T) (openFunc, func() int64) {
			stop := make(chan struct{})
			addr := server(t, silent(stop))
			t.Cleanup(func() { close(stop) }) // before the server's, which waits for it
			return tightly(addr), nil
		},
		"a peer that refuses": func(t *testing.T) (openFunc, func() int64) {
			return tightly(refusing(t)), func() int64 { return 0 }
		},
		"a pipe whose reader has gone": func(t *testing.T) (openFunc, func() int64) {
			return func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
				r, w, err := os.Pipe()
				if err == nil {
					err = r.Close()
				}
				return w, err
			}, func() int64 { return 0 }
		},
		"a writer that fails": func(*testing.T) (openFunc, func() int64) {
			f := &failing{left: 50_000}
			return func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
				return f, nil
			}, func() int64 { return 50_000 - int64(f.left) }
		},
	}
	for name, make := range mirrors {
		for _, disconnect := range []bool{false, true} {
			for _, noSplice := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, disconnect %v, no splice %v", name, disconnect, noSplice), func(t *testing.T) {
					open, got := make(t)
					rec := through(t, relay.Config{NoSplice: noSplice, Mirrors: []relay.Mirror{{
						Name: "m", Open: open, Direction: relay.Forward, Disconnect: disconnect, Queue: 256 << 10,
						Linger: 20 * time.Millisecond,
					}}}, data)
					if rec.Mirrored+rec.Lost != int64(len(data)) || rec.Lost == 0 {
						t.Errorf("%d had and %d lost of %d", rec.Mirrored, rec.Lost, len(data))
					}
					if got != nil && got() != rec.Mirrored {
						t.Errorf("it has %d bytes, and it is said that it has %d", got(), rec.Mirrored)
					}
				})
			}
		}
	}
}

// tightly opens a connection whose buffer has no room for what the peer does not take.
func tightly(addr string) openFunc {
	open := to(addr)
	return func(ctx context.Context, c relay.Info, d relay.Direction) (io.WriteCloser, error) {
		w, err := open(ctx, c, d)
		if err == nil {
			err = w.(*net.TCPConn).SetWriteBuffer(4096)
		}
		return w, err
	}
}

// failing takes so many bytes, and then no more.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	n := min(len(b), f.left)
	if f.left -= n; n < len(b) {
		return n, errors.New("enough")
	}
	return n, nil
}

func (*failing) Close() error { return errors.New("cannot be closed either") }

func size(t *testing.T, path string) int64 {
	t.Helper()
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return i.Size()
}

// smallDisk mounts one of 64 KiB; "" if that is not allowed.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		if errors.Is(err, unix.EPERM) {
			return ""
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("something on the disk is open: %v", err)
		}
	})
	return dir
}

// TestWhatIsOpenedTooLateIsClosed all of it, and not only what would have got the bytes.
func TestWhatIsOpenedTooLateIsClosed(t *testing.T) {
	open, closed := make(chan struct{}), make(chan struct{})
	rec := through(t, relay.Config{Mirrors: []relay.Mirror{{
		Direction: relay.Forward, Linger: time.Millisecond,
		Open: func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) { // waits for nobody's context
			<-open
			return &wrapped{closed: closed}, nil
		},
	}}}, noise(1000))
	if rec.Lost != 1000 {
		t.Errorf("%+v", rec)
	}
	close(open)
	await(t, closed, "the close of what was opened")
}

// TestAMirrorThatIsStuckIsLeftBehind in a call that nothing ends but its own Close: neither the connection nor the
// relay's end wait for it.
func TestAMirrorThatIsStuckIsLeftBehind(t *testing.T) {
	s := &stuck{closed: make(chan struct{})}
	rec := through(t, relay.Config{Mirrors: []relay.Mirror{{
		Direction: relay.Forward, Linger: time.Millisecond,
		Open: func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) { return s, nil },
	}}}, noise(1000))
	if rec.Lost != 1000 {
		t.Errorf("%+v", rec)
	}
}

// stuck is a writer whose Write waits for Close.
type stuck struct {
	closed chan struct{}
	in     chan struct{} // told of a Write; nil is nobody
}

func (s *stuck) Write([]byte) (int, error) {
	if s.in != nil {
		s.in <- struct{}{}
	}
	<-s.closed
	return 0, os.ErrClosed
}

func (s *stuck) Close() error {
	close(s.closed)
	return nil
}

// TestARelayEndsThoughAMirrorNeverReturns not even when it is closed.
func TestARelayEndsThoughAMirrorNeverReturns(t *testing.T) {
	s := &stuck{closed: make(chan struct{}), in: make(chan struct{}, 1)}
	defer close(s.closed)
	r := run(t, relay.Config{Targets: []relay.Target{{Address: echo(t)}}, Mirrors: []relay.Mirror{{
		Direction: relay.Forward,
		Open: func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
			return struct {
				io.Writer
				io.Closer
			}{s, discard{}}, nil
		},
	}}})
	client := dial(t, r.addr)
	say(t, client, []byte("a word"))
	hear(t, client)
	await(t, s.in, "the mirror's Write")
	r.Close()
	if all := r.Connections(); len(all) != 1 || all[0].Forward != 6 {
		t.Errorf("%+v", all)
	}
}

// wrapped is a Bared around nothing much.
type wrapped struct {
	discard
	closed chan struct{}
}

func (w *wrapped) Bare() io.WriteCloser { return discard{io.Discard} }

func (w *wrapped) Close() error {
	close(w.closed)
	return nil
}

// TestAUnixTargetThatIsBehindIsWaitedFor as one of TCP is: its backlog is full, and then it is not.
func TestAUnixTargetThatIsBehindIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "target")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	fill, err := net.Dial("unix", path) // the one that there is room for
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	if _, err := net.Dial("unix", path); !errors.Is(err, unix.EAGAIN) {
		t.Skipf("the backlog is not full: %v", err)
	}
	target := []relay.Target{{Network: "unix", Address: path}}

	short := run(t, relay.Config{Targets: target, ConnectTimeout: 10 * time.Millisecond})
	turnedAway(t, short.addr, "")
	if rec := short.ended(t); rec.End != "sC" && rec.End != "SC" {
		t.Errorf("%+v", rec)
	}
	r := run(t, relay.Config{Targets: target, ConnectTimeout: 10 * time.Second})
	client := dial(t, r.addr)
	for len(r.Connections()) == 0 {
		time.Sleep(time.Millisecond)
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for range 2 {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			accepted.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	fill.Close()
	go say(t, client, []byte("late"))
	if got := hear(t, client); string(got) != "late" {
		t.Errorf("%q", got)
	}
	if rec := r.ended(t); rec.End != "--" {
		t.Errorf("%+v", rec)
	}
	accepted.Wait()
}
