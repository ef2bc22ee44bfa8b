package pipes

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"github.com/cloudwego/netpoll"
	"github.com/djherbis/buffer"
	"github.com/djherbis/nio/v3"
	"github.com/smallnest/ringbuffer"
	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// pipe is what all of them are here. Close closes both ends.
type pipe = io.ReadWriteCloser

// peer is one kind of pipe.
type peer struct {
	name string

	// open makes one whose ring holds so many bytes, if that can be chosen, and tells how many it holds: 0 if a write
	// waits for a read.
	open func(tb testing.TB, ring int) (p pipe, holds int)

	alone bool // not to be shared by two goroutines
}

var peers = []peer{
	{name: "penstock", open: openDefault},
	{name: "penstock.4KiB-pages", open: openPenstock(4 << 10)},
	{name: "penstock.1-page", open: openPenstock(0)},
	{name: "io.Pipe", open: openIO},
	{name: "os.Pipe", open: openOS},
	{name: "net.Pipe", open: openNet},
	{name: "nio", open: openNio},
	{name: "ringbuffer", open: openRingbuffer},
	{name: "netpoll.unlocked", open: openNetpoll, alone: true},
}

// openDefault is what NewPipe(0) gives, 1 MiB in 16 slots, or as many slots of that size as the ring takes.
func openDefault(_ testing.TB, ring int) (pipe, int) {
	slots := max(ring/penstock.DefaultPageSize, penstock.DefaultSlots)
	return penstock.NewPipe(slots), slots * penstock.DefaultPageSize
}

// openPenstock makes the ring of pages of a size, or of one page if that is 0. With 4 KiB it is the kernel's pipe.
func openPenstock(pageSize int) func(testing.TB, int) (pipe, int) {
	return func(tb testing.TB, ring int) (pipe, int) {
		if pageSize == 0 {
			pageSize = ring
		}
		p, err := penstock.OpenPipe(penstock.PipeConfig{Slots: ring / pageSize, PageSize: pageSize})
		if err != nil {
			tb.Fatal(err)
		}
		return p, ring
	}
}

// halves is a pipe of two ends.
type halves struct {
	io.ReadCloser
	w io.WriteCloser
}

func (h halves) Write(b []byte) (int, error) { return h.w.Write(b) }
func (h halves) Close() error                { return errors.Join(h.w.Close(), h.ReadCloser.Close()) }

func openIO(testing.TB, int) (pipe, int) {
	r, w := io.Pipe()
	return halves{r, w}, 0
}

func openNet(testing.TB, int) (pipe, int) {
	r, w := net.Pipe()
	return halves{r, w}, 0
}

// openOS asks for no more than the kernel gives to everybody, 1 MiB, which is enough.
func openOS(tb testing.TB, ring int) (pipe, int) {
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	ring = min(ring, 1<<20)
	raw, err := w.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { ring, err = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, ring) })
	}
	if err != nil {
		tb.Fatal(err)
	}
	return halves{r, w}, ring
}

func openNio(_ testing.TB, ring int) (pipe, int) {
	r, w := nio.Pipe(buffer.New(int64(ring)))
	return halves{r, w}, ring
}

func openRingbuffer(_ testing.TB, ring int) (pipe, int) {
	r, w := ringbuffer.New(ring).Pipe()
	return halves{r, w}, ring
}

func openNetpoll(_ testing.TB, ring int) (pipe, int) {
	return linked{netpoll.NewLinkBuffer(ring)}, ring
}

// linked copies both ways, as the others do.
type linked struct{ *netpoll.LinkBuffer }

func (l linked) Write(b []byte) (int, error) {
	space, err := l.Malloc(len(b))
	if err != nil {
		return 0, err
	}
	copy(space, b)
	return len(b), l.Flush()
}

func (l linked) Read(b []byte) (int, error) {
	n := min(len(b), l.Len())
	data, err := l.Next(n)
	copy(b, data)
	return n, errors.Join(err, l.Release())
}
