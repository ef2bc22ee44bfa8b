package penstock_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// Ends that splice(2) refuses, or that are no streams: /proc, devices, directories, event counters, datagrams.

// everyWay runs a test with each kind of sink, by each manner in turn.
func everyWay(t *testing.T, test func(t *testing.T, dst io.Writer, got func() []byte, opts []penstock.Option)) {
	t.Helper()
	for i, to := range termini() {
		by := manners(t)[i%4]
		t.Run(to.name+", "+by.name, func(t *testing.T) {
			dst, got := opened(t, to)
			test(t, dst, got, by.opts)
		})
	}
}

func TestTrapAFileOfProcHasNoSizeAndNoSplice(t *testing.T) {
	for _, name := range []string{"/proc/version", "/proc/self/comm", "/proc/sys/fs/pipe-max-size", "/proc/cpuinfo"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		everyWay(t, func(t *testing.T, dst io.Writer, got func() []byte, opts []penstock.Option) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			rep, err := penstock.Copy(background, dst, f, opts...)
			b := got()
			if name == "/proc/cpuinfo" { // whose frequencies change
				want, b = want[:100], b[:min(len(b), 100)]
			}
			if err != nil || !bytes.Equal(b, want) {
				t.Errorf("%s: %q, not %q: %v, %v", name, b, want, rep, err)
			}
		})
	}
}

func TestTrapDevZeroEndsAtALimit(t *testing.T) {
	want := make([]byte, 300_001)
	everyWay(t, func(t *testing.T, dst io.Writer, got func() []byte, opts []penstock.Option) {
		opts = append(opts, penstock.WithLimit(int64(len(want))))
		rep, err := penstock.Copy(background, dst, tempDevice(t, "/dev/zero"), opts...)
		if b := got(); err != nil || !bytes.Equal(b, want) || rep.Consumed != int64(len(want)) {
			t.Errorf("%d bytes: %+v, %v", len(b), rep, err)
		}
	})
}

func TestTrapDevNullIsAnEmptySource(t *testing.T) {
	everyWay(t, func(t *testing.T, dst io.Writer, got func() []byte, opts []penstock.Option) {
		rep, err := penstock.Copy(background, dst, tempDevice(t, "/dev/null"), opts...)
		if b := got(); err != nil || len(b) > 0 || rep.Consumed != 0 {
			t.Errorf("%d bytes: %+v, %v", len(b), rep, err)
		}
	})
}

func TestTrapDevNullTakesAll(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 6)
	for i, from := range origins() {
		by := manners(t)[i%4]
		t.Run(from.name+", "+by.name, func(t *testing.T) {
			rep, err := penstock.Copy(background, tempDevice(t, "/dev/null"), from.open(t, data), by.opts...)
			if n := int64(len(data)); err != nil || rep.Consumed != n || rep.Delivered != n {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}

func TestTrapADirectoryIsTheSourcesFault(t *testing.T) {
	everyWay(t, func(t *testing.T, dst io.Writer, got func() []byte, opts []penstock.Option) {
		f, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rep, err := penstock.Copy(background, dst, f, opts...)
		op := failedAt(t, err, penstock.SideSource, 0, syscall.EISDIR)
		if b := got(); len(b) > 0 || rep.Consumed != 0 || op.InFlight != nil {
			t.Errorf("%d bytes: %+v", len(b), rep)
		}
	})
}

// TestTrapAnEndOpenedTheOtherWayIsBlamed: a source that cannot be read, or a sink that cannot be written.
func TestTrapAnEndOpenedTheOtherWayIsBlamed(t *testing.T) {
	data := pattern(1000)
	everyWay(t, func(t *testing.T, dst io.Writer, _ func() []byte, opts []penstock.Option) {
		rep, err := penstock.Copy(background, dst, tempFile(t, data, os.O_WRONLY), opts...)
		failedAt(t, err, penstock.SideSource, 0, syscall.EBADF)
		if rep.Consumed != 0 {
			t.Errorf("%+v", rep)
		}
	})
	for i, from := range origins() {
		by := manners(t)[i%4]
		t.Run(from.name+", "+by.name, func(t *testing.T) {
			src := from.open(t, data)
			rep, err := penstock.Copy(background, tempFile(t, nil, os.O_RDONLY), src, by.opts...)
			accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, syscall.EBADF))
			completes(t, data, src, err, by.opts...)
		})
	}
}

func eventCounter(t *testing.T, n uint, flags int) *os.File {
	t.Helper()
	fd, err := unix.Eventfd(n, flags|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "eventfd")
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTrapAnEventCounterIsReadAndWritten(t *testing.T) {
	for name, flags := range map[string]int{"blocking": 0, "non-blocking": unix.EFD_NONBLOCK} {
		t.Run(name, func(t *testing.T) {
			want := binary.NativeEndian.AppendUint64(nil, 42)
			everyWay(t, func(t *testing.T, dst io.Writer, got func() []byte, opts []penstock.Option) {
				src := eventCounter(t, 42, flags)
				_, err := penstock.Copy(background, dst, src, append(opts, penstock.WithLimit(8))...)
				if b := got(); err != nil || !bytes.Equal(b, want) {
					t.Errorf("%x, %v", b, err)
				}
			})
			for i, from := range origins() {
				by := manners(t)[i%4]
				dst := eventCounter(t, 0, flags)
				if _, err := penstock.Copy(background, dst, from.open(t, want), by.opts...); err != nil {
					t.Errorf("%s: %v", from.name, err)
					continue
				}
				b := make([]byte, 8)
				if n, err := dst.Read(b); n != 8 || err != nil || !bytes.Equal(b, want) {
					t.Errorf("%s: %x, %v", from.name, b, err)
				}
			}
		})
	}
}

// datagrams are sockets that have messages. Each has got one.
func datagrams(t *testing.T) map[string]io.ReadWriter {
	t.Helper()
	all := make(map[string]io.ReadWriter)
	add := func(name string, f, peer *os.File) {
		t.Cleanup(func() { f.Close(); peer.Close() })
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		all[name], all[name+" as a file"] = c, f
		if _, err := peer.Write([]byte("message")); err != nil {
			t.Fatal(err)
		}
	}
	for name, kind := range map[string]int{"unixgram": unix.SOCK_DGRAM, "unixpacket": unix.SOCK_SEQPACKET} {
		fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		add(name, os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name))
	}
	to, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	from, err := net.DialUDP("udp", nil, to.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := to.File()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := from.File()
	if err != nil {
		t.Fatal(err)
	}
	add("UDP", f, peer)
	return all
}

func TestTrapDatagramsAreRefused(t *testing.T) {
	for name, c := range datagrams(t) {
		t.Run(name, func(t *testing.T) {
			stream := bytes.NewReader(pattern(1000))
			for _, call := range []struct {
				what string
				side penstock.Side
				do   func() (penstock.Report, error)
			}{
				{"source", penstock.SideSource, func() (penstock.Report, error) {
					return penstock.Copy(background, new(bytes.Buffer), c)
				}},
				{"source under a limit", penstock.SideSource, func() (penstock.Report, error) {
					return penstock.Copy(background, new(bytes.Buffer), io.LimitReader(c, 3))
				}},
				{"sink", penstock.SideSink, func() (penstock.Report, error) {
					return penstock.Copy(background, c, stream)
				}},
				{"tee", penstock.SideSink, func() (penstock.Report, error) {
					return penstock.Copy(background, new(bytes.Buffer), stream, penstock.WithTee(c))
				}},
			} {
				rep, err := call.do()
				if side, ok := penstock.SideOf(err); err == nil || !ok || side != call.side {
					t.Errorf("%s: %v", call.what, err)
				}
				if rep.Consumed != 0 || stream.Len() != 1000 {
					t.Errorf("%s: %+v", call.what, rep)
				}
			}
		})
	}
}

// TestTrapAnUnconnectedSocketIsBlamed: here one that listens.
func TestTrapAnUnconnectedSocketIsBlamed(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "unconnected")
	defer f.Close()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	data := pattern(1000)
	src := bytes.NewReader(data)
	rep, err := penstock.Copy(background, f, src)
	accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, syscall.EPIPE, syscall.ENOTCONN))
	completes(t, data, src, err)
}

// TestAnEndThatIsClosedIsBlamed, whichever it is.
func TestAnEndThatIsClosedIsBlamed(t *testing.T) {
	data := pattern(1000)
	closed := func(c io.ReadWriteCloser) io.ReadWriteCloser { c.Close(); return c }
	near, _ := socket(t, "tcp")
	unixNear, _ := socket(t, "unix")
	for name, c := range map[string]io.ReadWriteCloser{
		"TCP": closed(near), "Unix": closed(unixNear), "file": closed(tempFile(t, data, os.O_RDWR)),
		"KernelPipe": closed(pipeOfKernel(t, 0)),
	} {
		for other, dst := range map[string]io.Writer{"writer": new(bytes.Buffer), "file": tempFile(t, nil, os.O_RDWR)} {
			_, err := penstock.Copy(background, dst, c)
			failedAt(t, err, penstock.SideSource, 0)
			if !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s to %s: %v", name, other, err)
			}
		}
		for other, src := range map[string]io.Reader{"reader": bytes.NewReader(data), "file": tempFile(t, data, os.O_RDWR)} {
			rep, err := penstock.Copy(background, c, src)
			accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0))
			completes(t, data, src, err)
			if !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s to %s: %v", other, name, err)
			}
		}
	}
}

// TestTrapAPipeThatNobodyReadsIsNoErrorWhereNothingIsToBeWritten although splice(2) looks at its reader first.
func TestTrapAPipeThatNobodyReadsIsNoErrorWhereNothingIsToBeWritten(t *testing.T) {
	for name, source := range map[string]func(t *testing.T) io.Reader{
		"an empty file": func(t *testing.T) io.Reader { return tempFile(t, nil, os.O_RDONLY) },
		"a file at its end": func(t *testing.T) io.Reader {
			f := tempFile(t, []byte("read"), os.O_RDONLY)
			if _, err := f.Seek(0, io.SeekEnd); err != nil {
				t.Fatal(err)
			}
			return f
		},
		"/dev/null": func(t *testing.T) io.Reader { return tempDevice(t, os.DevNull) },
		"a pipe that has ended": func(t *testing.T) io.Reader {
			r, w := endKinds["os.Pipe"](t)
			w.Close()
			return r
		},
	} {
		for _, by := range manners(t) {
			t.Run(name+", "+by.name, func(t *testing.T) {
				r, w := endKinds["os.Pipe"](t)
				r.Close()
				if rep, err := penstock.Copy(background, w, source(t), by.opts...); err != nil || rep.Delivered != 0 {
					t.Errorf("%v, %v", rep, err)
				}
			})
		}
	}
	for name, source := range map[string]io.Reader{"a file": tempFile(t, []byte("x"), os.O_RDONLY), "/dev/zero": tempDevice(t, "/dev/zero")} {
		r, w := endKinds["os.Pipe"](t)
		r.Close()
		if _, err := penstock.Copy(background, w, source); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
