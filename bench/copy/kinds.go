package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/penstock-io/penstock"
)

// The kinds of copier. One that copies a stream returns how many bytes it was, at each sink.
const (
	kindIO       = "io.Copy"
	kindPenstock = "penstock"
	kindNoSplice = "read/write"
	kindBuffer   = "buffer"
	kindOptions  = "penstock, all options"
	kindWriter32 = "MultiWriter, 32 KiB"
	kindWriter   = "MultiWriter, 256 KiB"
	kindTee      = "WithTee"
)

var streamKinds = map[string]func(dsts []io.Writer, src io.Reader) (int64, error){
	kindIO: func(dsts []io.Writer, src io.Reader) (int64, error) { return io.Copy(dsts[0], src) },
	kindBuffer: func(dsts []io.Writer, src io.Reader) (int64, error) {
		return io.Copy(struct{ io.Writer }{dsts[0]}, struct{ io.Reader }{src})
	},
	kindPenstock: penstockCopy(),
	kindNoSplice: penstockCopy(penstock.WithoutSplice()),
	kindOptions: penstockCopy(penstock.WithLimit(1<<60), penstock.WithRate(1<<50),
		penstock.WithIdleTimeout(time.Minute), penstock.WithTimeout(time.Hour),
		penstock.WithProgress(time.Second, func(penstock.Report) {}),
		penstock.WithHalfClose()),
	kindWriter32: multiWriter(32 << 10),
	kindWriter:   multiWriter(256 << 10),
	kindTee:      penstockCopy(),
}

func penstockCopy(opts ...penstock.Option) func([]io.Writer, io.Reader) (int64, error) {
	return func(dsts []io.Writer, src io.Reader) (int64, error) {
		all := opts
		if len(dsts) > 1 {
			all = append(all[:len(all):len(all)], penstock.WithTee(dsts[1:]...))
		}
		rep, err := penstock.Copy(context.Background(), dsts[0], src, all...)
		told(rep)
		return rep.Delivered, err
	}
}

// told prints reports where BENCH_COPY_REPORT is set: which ways were taken, and by how many calls.
func told(reports ...penstock.Report) {
	if os.Getenv("BENCH_COPY_REPORT") == "" {
		return
	}
	for _, r := range reports {
		fmt.Fprintf(os.Stderr, "%v, %d calls, %d bytes by read and write\n", r, r.Calls, r.By(penstock.PathReadWrite))
	}
}

func multiWriter(buffer int) func([]io.Writer, io.Reader) (int64, error) {
	return func(dsts []io.Writer, src io.Reader) (int64, error) {
		// Hiding ReadFrom and WriteTo makes CopyBuffer use the buffer.
		w := struct{ io.Writer }{io.MultiWriter(dsts...)}
		return io.CopyBuffer(w, struct{ io.Reader }{src}, make([]byte, buffer))
	}
}

// relayKinds relay between two connections, until both directions have ended.
var relayKinds = map[string]func(a, b net.Conn) error{
	kindIO: func(a, b net.Conn) error {
		done := make(chan error, 1)
		go func() { done <- copyAndEnd(a, b) }()
		err := copyAndEnd(b, a)
		if berr := <-done; err == nil {
			err = berr
		}
		return err
	},
	kindPenstock: func(a, b net.Conn) error {
		forward, backward, err := penstock.CopyBoth(context.Background(), a, b)
		told(forward, backward)
		return err
	},
}

func copyAndEnd(dst, src net.Conn) error {
	_, err := io.Copy(dst, src)
	if cerr := dst.(interface{ CloseWrite() error }).CloseWrite(); err == nil {
		err = cerr
	}
	return err
}

// serverKinds answer with a header and a file.
var serverKinds = map[string]func(c *net.TCPConn, header []byte, f *os.File) error{
	kindIO: func(c *net.TCPConn, header []byte, f *os.File) error {
		if _, err := c.Write(header); err != nil {
			return err
		}
		_, err := io.Copy(c, f)
		return err
	},
	kindPenstock: func(c *net.TCPConn, header []byte, f *os.File) error {
		_, err := penstock.Copy(context.Background(), c, f, penstock.WithHeader(header))
		return err
	},
}
