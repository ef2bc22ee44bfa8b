package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/socket"
)

// The server is a process of its own, with a port for each thing that it does:
//
//	client ⇄ relay ⇄ server
//	           └───▸ server, as the one who only listens

// ports are where the server listens.
type ports struct {
	Streams string // a header, and what it asks for
	Short   string // a byte, which comes back
	Mirror  string // everything is counted and thrown away
}

// What a header asks for: a letter, and a number.
const (
	headerSize = 9
	sinks      = 's' // to take so many bytes, and answer with one
	echoes     = 'e' // to send back each message of so many bytes
)

func header(asks byte, n int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{asks}, uint64(n))
}

// What the server is asked about its mirror port.
const (
	bytesOfMirrors = "bytes"   // how many have come
	compareMirrors = "compare" // from now on sums are to be made
	sumsOfMirrors  = "sums"    // of each connection that has ended with something to it
)

// playServer serves until it is ended, and answers what it is asked.
func playServer(in *json.Decoder, out *json.Encoder) error {
	var m mirrored
	var p ports
	for _, one := range []struct {
		at    *string
		serve func(*net.TCPListener) error
	}{
		{&p.Streams, func(l *net.TCPListener) error { return serveEach(l, serveStream) }},
		{&p.Short, serveShort},
		{&p.Mirror, func(l *net.TCPListener) error { return serveEach(l, m.take) }},
	} {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		*one.at = l.Addr().String()
		go func() { role.Exit("server", one.serve(l)) }()
	}
	if err := out.Encode(p); err != nil {
		return err
	}
	for {
		var question string
		if err := in.Decode(&question); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(m.answer(question)); err != nil {
			return err
		}
	}
}

// serveEach serves all connections at a time. That one of them breaks is no more than said: whoever is at the other end
// is missing something.
func serveEach(l *net.TCPListener, serve func(*net.TCPConn) error) error {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			if err := serve(c); err != nil {
				fmt.Fprintf(os.Stderr, "server: %v\n", err)
			}
		}()
	}
}

func serveStream(c *net.TCPConn) error {
	var h [headerSize]byte
	if _, err := io.ReadFull(c, h[:]); err == io.EOF {
		return nil // who looked whether the relay is there
	} else if err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint64(h[1:]))
	switch h[0] {
	case sinks:
		got, err := socket.Discard(c, n)
		if err == nil && got < n {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			_, err = c.Write(h[:1])
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, c) // until it is over, however that is
		}
		return err
	case echoes:
		return blocking(c, func(fd int) error { return echo(fd, make([]byte, n)) })
	default:
		return fmt.Errorf("header %q", h)
	}
}

func echo(fd int, b []byte) error {
	for {
		if err := readFull(fd, b); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := writeAll(fd, b); err != nil {
			return err
		}
	}
}

// waiting is how many goroutines wait for short connections.
const waiting = 2 * clientsAtOnce

// serveShort answers connections of one byte. There is no more to it than system calls that wait, so that a connection
// costs this end as little as it can.
func serveShort(l *net.TCPListener) error {
	f, err := l.File()
	if err != nil {
		return err
	}
	defer f.Close()
	fd := int(f.Fd()) // which makes it wait
	failed := make(chan error)
	var first sync.Once
	for range waiting {
		go func() { failed <- shorts(fd, &first) }()
	}
	return <-failed
}

func shorts(listener int, first *sync.Once) error {
	for {
		c, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		} else if err != nil {
			return os.NewSyscallError("accept4", err)
		}
		first.Do(func() { runtime.GOMAXPROCS(processors) }) // for streams Go's own choice is the right one
		if err := answer(c); err != nil {
			fmt.Fprintf(os.Stderr, "server: %v\n", err)
		}
		if err := unix.Close(c); err != nil {
			return os.NewSyscallError("close", err)
		}
	}
}

// answer sends a byte back, and waits for the end, however that comes. Who sends nothing has looked whether the relay
// is there.
func answer(fd int) error {
	var b [1]byte
	err := readFull(fd, b[:])
	if err == nil {
		err = writeAll(fd, b[:])
	}
	if err == nil {
		err = readFull(fd, b[:])
	}
	if err == io.EOF || errors.Is(err, unix.ECONNRESET) {
		return nil
	}
	return err
}
