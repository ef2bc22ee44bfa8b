package penstock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// Traps that others have fallen into, each pinned by a test.

// drip feeds a stream that begins in bulk and goes on byte by byte, each in a segment of its own.
func drip(t *testing.T, w io.WriteCloser, data []byte, bulk int) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer w.Close()
		_, err := w.Write(data[:bulk])
		for i := bulk; i < len(data) && err == nil; i++ {
			_, err = w.Write(data[i : i+1])
		}
		if err != nil {
			t.Errorf("feeding the source: %v", err)
		}
	}()
	t.Cleanup(func() { <-done })
}

// TestTrapEAGAINIsAmbiguous: sixteen one-byte segments fill a pipe's slots, and that is not the source having no more.
func TestTrapEAGAINIsAmbiguous(t *testing.T) {
	data := pattern(260_000)
	for _, from := range taps() {
		everyWay(t, func(t *testing.T, dst io.Writer, got func() []byte, opts []penstock.Option) {
			src, in := from.open(t)
			drip(t, in, data, len(data)-700)
			_, err := penstock.Copy(background, dst, src, opts...)
			if b := got(); err != nil || !bytes.Equal(b, data) {
				t.Errorf("%s: %d bytes of %d, or others, %v", from.name, len(b), len(data), err)
			}
		})
	}
}

// TestTrapATeeOfNothingIsNoEnd: tee(2) begins at the head and returns 0 in a race, and the outputs get each byte once.
func TestTrapATeeOfNothingIsNoEnd(t *testing.T) {
	data := pattern(260_000)
	for _, from := range taps() {
		for _, by := range manners(t) {
			t.Run(from.name+", "+by.name, func(t *testing.T) {
				src, in := from.open(t)
				drip(t, in, data, len(data)-700)
				var o outputs
				for _, to := range []int{0, 2, 4, 1} {
					o.add(opened(t, termini()[to]))
				}
				if _, err := o.transfer(src, by.opts...).Run(background); err != nil {
					t.Fatal(err)
				}
				for i, got := range o.got {
					if b := got(); !bytes.Equal(b, data) {
						t.Errorf("output %d got %d bytes of %d, or others", i, len(b), len(data))
					}
				}
			})
		}
	}
}

// unsent returns how many bytes of a connection have not been sent yet, and in how many segments the others went.
func unsent(t *testing.T, c net.Conn) (queued int, segments uint32) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const sioCOUTQNSD = 0x894B
	cerr := raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if queued, err = unix.IoctlGetInt(int(fd), sioCOUTQNSD); err == nil {
			info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		}
		if err == nil {
			segments = info.Data_segs_out
		}
	})
	if err := errors.Join(err, cerr); err != nil {
		t.Fatal(err)
	}
	return queued, segments
}

// TestTrapMoreIsNotLeftSet: the last small chunk is on its way when the transfer ends, and the connection stays open.
func TestTrapMoreIsNotLeftSet(t *testing.T) {
	data := pattern(5001)
	for _, from := range origins() {
		for _, by := range manners(t) {
			for name, opts := range map[string][]penstock.Option{
				"all":                     nil,
				"a header":                {penstock.WithHeader([]byte("head"))},
				"limited":                 {penstock.WithLimit(int64(len(data)) - 1)},
				"nothing behind a header": {penstock.WithHeader([]byte("head")), penstock.WithLimit(0)},
			} {
				near, far := socket(t, "tcp")
				src := from.open(t, data)
				rep, err := penstock.Copy(background, near, src, append(opts, by.opts...)...)
				if err != nil {
					t.Fatal(err)
				}
				if n, _ := unsent(t, near); n != 0 {
					t.Errorf("%s, %s, %s: %d bytes of %d are held back", from.name, by.name, name, n, rep.Delivered)
				}
				far.SetReadDeadline(time.Now().Add(10 * time.Second))
				if n, err := io.ReadFull(far, make([]byte, rep.Delivered)); err != nil {
					t.Errorf("%s, %s, %s: %d, %v", from.name, by.name, name, n, err)
				}
				if _, err := io.ReadAll(src); err != nil {
					t.Error(err)
				}
				near.Close()
				far.Close()
			}
		}
	}
}

// TestAHeaderAndAFilesBytesGoInOnePacket, which is what more is for.
func TestAHeaderAndAFilesBytesGoInOnePacket(t *testing.T) {
	near, far := socket(t, "tcp")
	header, data := []byte("header "), pattern(1000)
	_, before := unsent(t, near)
	f := tempFile(t, data, os.O_RDONLY)
	if _, err := penstock.Copy(background, near, f, penstock.WithHeader(header)); err != nil {
		t.Fatal(err)
	}
	receive(t, far, append(header, data...))
	if _, after := unsent(t, near); after != before+1 {
		t.Errorf("they went in %d packets", after-before)
	}
}

// descriptorsNow counts the descriptors of this process.
func descriptorsNow(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names) - 1 // that of the folder
}

// TestTrapAnIdleConnectionHoldsNoPipe: relays that have moved much, and are quiet now, have two descriptors each.
func TestTrapAnIdleConnectionHoldsNoPipe(t *testing.T) {
	const relays = 50
	pool := penstock.NewPool(0)
	defer pool.Close()
	data := bytes.Repeat(pattern(64<<10), 4)
	var all []*relay
	warm, err := penstock.NewKernelPipe(0) // what opens descriptors once for all
	if err == nil {
		warm.Close()
	}
	before := descriptorsNow(t)
	for range relays {
		all = append(all, relayed(t, background, "tcp", penstock.WithPool(pool)))
	}
	for _, r := range all {
		for _, c := range [][2]net.Conn{{r.client, r.server}, {r.server, r.client}} {
			go c[0].Write(data)
			receive(t, c[1], data)
		}
	}
	give := time.Now().Add(20 * time.Second)
	for {
		s := pool.Stats()
		n := descriptorsNow(t)
		if s.Held == 0 && n <= before+4*relays { // two are the client's and the server's
			break
		}
		if time.Now().After(give) {
			t.Fatalf("%d descriptors, of which %d were there before; the pool holds %d bytes, %d of them idle",
				n, before, s.Held, s.Idle)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, r := range all {
		send(t, r.client, []byte("still there"))
		receive(t, r.server, []byte("still there"))
		r.client.Close()
		r.server.Close()
		r.ends(t)
	}
}

// TestTrapAPipeComesBackToThePoolEmpty, whatever the transfer that had it met: what is left would be its next user's.
func TestTrapAPipeComesBackToThePoolEmpty(t *testing.T) {
	pool := penstock.NewPool(1 << 20)
	defer pool.Close()
	data := bytes.Repeat(pattern(64<<10), 8)
	other := bytes.Repeat([]byte("other"), 60_000)
	for _, to := range breakings() {
		for _, tee := range []bool{false, true} {
			src := tcpSource(t, data)
			broken := to.open(t, 70_000)
			opts := []penstock.Option{penstock.WithPool(pool)}
			if tee {
				opts = append(opts, penstock.WithTee(io.Discard))
			}
			tr := penstock.NewTransfer(broken.w, src, opts...)
			if broken.late != nil {
				go broken.late(tr)
			}
			if _, err := tr.Run(background); err == nil {
				t.Errorf("%s: no error", to.name)
			}
			if s := pool.Stats(); s.Idle != s.Held {
				t.Errorf("%s: the pool has lent %d bytes", to.name, s.Held-s.Idle)
			}
			var pipes []*penstock.KernelPipe
			for size := 4096; size <= 1<<20; size *= 2 {
				for s := pool.Stats(); s.Idle > 0; s = pool.Stats() {
					p, err := pool.Get(size)
					if err != nil || pool.Stats().Idle >= s.Idle {
						if err == nil {
							pipes = append(pipes, p)
						}
						break
					}
					pipes = append(pipes, p)
				}
			}
			for _, p := range pipes {
				if n := p.Len(); n != 0 {
					t.Errorf("%s: a pipe with %d bytes has come back", to.name, n)
				}
				pool.Put(p)
			}
			io.Copy(io.Discard, src)
			dst, got := drained(t, "tcp")
			if _, err := penstock.Copy(background, dst, tcpSource(t, other), penstock.WithPool(pool)); err != nil {
				t.Error(err)
			}
			if b := got(); !bytes.Equal(b, other) {
				t.Errorf("%s: the next transfer delivered %d bytes of %d, or others", to.name, len(b), len(other))
			}
		}
	}
}

// TestTrapPipesOfTwoSlots between any two ends.
func TestTrapPipesOfTwoSlots(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 3)
	for _, from := range origins() {
		for _, to := range termini() {
			dst, got := opened(t, to)
			if _, err := penstock.Copy(background, dst, from.open(t, data), penstock.WithPipeSize(8<<10)); err != nil {
				t.Error(err)
			}
			if b := got(); !bytes.Equal(b, data) {
				t.Errorf("%s to %s: %d bytes of %d, or others", from.name, to.name, len(b), len(data))
			}
		}
	}
}

// tight are sinks that hold so much and no more while nobody reads.
func tight() map[string]func(t *testing.T) (io.Writer, int) {
	return map[string]func(t *testing.T) (io.Writer, int){
		"FIFO":       func(t *testing.T) (io.Writer, int) { _, w := fifo(t); return w, 64 << 10 },
		"Pipe":       func(t *testing.T) (io.Writer, int) { p := memoryPipe(t, 1); return p, p.Cap() },
		"KernelPipe": func(t *testing.T) (io.Writer, int) { p := pipeOfKernel(t, 64<<10); return p, p.Cap() },
	}
}

// TestTrapASourceAtItsEndIsNotHeldUpByAFullSink: what it had fits just so, and the sink is read afterwards.
func TestTrapASourceAtItsEndIsNotHeldUpByAFullSink(t *testing.T) {
	ended := func(r io.Reader, w io.WriteCloser, data []byte) io.Reader {
		w.Write(data)
		w.Close()
		return r
	}
	sources := map[string]func(t *testing.T, data []byte) io.Reader{
		"file":         func(t *testing.T, data []byte) io.Reader { return tempFile(t, data, os.O_RDONLY) },
		"bytes.Reader": func(t *testing.T, data []byte) io.Reader { return bytes.NewReader(data) },
		"FIFO":         func(t *testing.T, data []byte) io.Reader { r, w := fifo(t); return ended(r, w, data) },
		"Pipe": func(t *testing.T, data []byte) io.Reader {
			p := memoryPipe(t, 0)
			return ended(p, writeCloser{p}, data)
		},
		"KernelPipe": func(t *testing.T, data []byte) io.Reader {
			p := pipeOfKernel(t, 64<<10)
			return ended(p, writeCloser{p}, data)
		},
	}
	for to, open := range tight() {
		for from, source := range sources {
			for _, by := range manners(t)[:2] {
				t.Run(fmt.Sprintf("%s to %s, %s", from, to, by.name), func(t *testing.T) {
					dst, room := open(t)
					opts := append(slices.Clone(by.opts), penstock.WithTimeout(2*time.Second))
					rep, err := penstock.Copy(background, dst, source(t, pattern(room)), opts...)
					if err != nil || rep.Delivered != int64(room) {
						t.Errorf("%+v, %v", rep, err)
					}
				})
			}
		}
	}
}

// TestTrapASourceThatEndsIsNotHeldUpByAFullSink either, which it was already when the source was only quiet.
func TestTrapASourceThatEndsIsNotHeldUpByAFullSink(t *testing.T) {
	for to, open := range tight() {
		for _, from := range taps() {
			for _, by := range manners(t)[:2] {
				t.Run(fmt.Sprintf("%s to %s, %s", from.name, to, by.name), func(t *testing.T) {
					dst, room := open(t)
					if from.name == "wrapped connection" && to != "FIFO" && by.name == "any way" {
						t.Skip("a plain reader cannot be waited for: it is read when there is room")
					}
					if _, err := dst.Write(pattern(room)); err != nil {
						t.Fatal(err)
					}
					src, in := from.open(t)
					tr := penstock.NewTransfer(dst, src, append(slices.Clone(by.opts), penstock.WithTimeout(time.Second))...)
					go func() {
						for tr.Report().Since == 0 && tr.Report().Elapsed < time.Second {
							time.Sleep(time.Millisecond)
						}
						in.Close()
					}()
					if rep, err := tr.Run(background); err != nil || rep.Consumed != 0 {
						t.Errorf("%+v, %v", rep, err)
					}
				})
			}
		}
	}
}

// TestTrapACloseIsNotHeldUpByACopyThatWaits on the other end: nobody waits for one while he holds the other's lock.
func TestTrapACloseIsNotHeldUpByACopyThatWaits(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	for _, to := range valves() {
		for i, by := range manners(t) {
			t.Run(to.name+", "+by.name, func(t *testing.T) {
				near, far := socket(t, "tcp")
				go far.Write(data)
				dst, r, _ := to.open(t)
				tr := penstock.NewTransfer(dst, near, by.opts...)
				over := make(chan error, 1)
				go func() { _, err := tr.Run(background); over <- err }()
				stalled(t, tr, penstock.SideSink)
				ends := []io.Closer{near, dst.(io.Closer)}
				if i%2 == 1 {
					slices.Reverse(ends)
				}
				promptly(t, func() (int, error) { return 0, errors.Join(ends[0].Close(), ends[1].Close()) })
				if strings.HasPrefix(to.name, "blocking") { // whose wait in the kernel no close ends
					r.(io.Closer).Close()
				}
				n, err := promptly(t, func() (int, error) { return 0, <-over })
				if side, ok := penstock.SideOf(err); n != 0 || err == nil || !ok || side == penstock.SidePipe {
					t.Errorf("%v", err)
				}
			})
		}
	}
}
