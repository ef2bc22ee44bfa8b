package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/socket"
)

// sourceBuffer is the size of the one buffer that the source sends over and over.
const sourceBuffer = 1 << 20

// sendStream connects to addr, sends size bytes and half-closes. How: "write" copies one reused buffer with write(2),
// which leaves the relay 32 KiB page runs as most senders do; "sendfile" sends one memory file's pages by reference;
// "pattern" writes the verified stream in pieces of changing length. In messages, see arrivals.go, it writes always.
func sendStream(spec runSpec) error {
	c, err := net.Dial("tcp", spec.Source)
	if err != nil {
		return err
	}
	conn := c.(*net.TCPConn)
	defer conn.Close()
	if err := socket.SetCongestion(conn, spec.Congestion); err != nil {
		return err
	}
	size := spec.Size
	switch {
	case spec.Message > 0:
		err = sendMessages(conn, spec, spec.Send == "pattern")
	case spec.Send == "write":
		err = sendWrites(conn, size)
	case spec.Send == "sendfile":
		err = sendPages(conn, size)
	case spec.Send == "pattern":
		err = sendPattern(conn, size)
	default:
		err = fmt.Errorf("source: unknown way to send %q", spec.Send)
	}
	if err != nil {
		return err
	}
	return conn.CloseWrite()
}

func sendWrites(conn *net.TCPConn, size int64) error {
	b := make([]byte, sourceBuffer)
	for size > 0 {
		n, err := conn.Write(b[:min(size, int64(len(b)))])
		size -= int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

func sendPages(conn *net.TCPConn, size int64) error {
	fd, err := unix.MemfdCreate("stream", unix.MFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "stream")
	defer f.Close()
	if _, err := f.Write(make([]byte, sourceBuffer)); err != nil {
		return err
	}
	for size > 0 {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		n, err := conn.ReadFrom(io.LimitReader(f, min(size, sourceBuffer)))
		size -= n
		if err != nil {
			return err
		}
	}
	return nil
}

func sendPattern(conn *net.TCPConn, size int64) error {
	b := make([]byte, sourceBuffer)
	lengths := rand.New(rand.NewPCG(1, uint64(size)))
	for off := int64(0); off < size; {
		// Both whole buffers and a few odd bytes: page boundaries must not line up with anything.
		n := int64(len(b))
		if lengths.IntN(2) == 0 {
			n = 1 + lengths.Int64N(int64(len(b)))
		}
		if lengths.IntN(8) == 0 {
			n = 1 + lengths.Int64N(64)
		}
		n = min(n, size-off)
		fillPattern(b[:n], off)
		if _, err := conn.Write(b[:n]); err != nil {
			return err
		}
		off += n
	}
	return nil
}
