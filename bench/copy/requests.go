package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/socket"
)

// A request is answered with a header and a file, all on one connection:
//
//	copier → client
//
// The client asks by one byte for the next one when it has the whole answer.

// headerSize is that of a usual HTTP response's.
const headerSize = 200

// served is what the copier tells.
type served struct {
	Requests int64
	Segments int64 // with data, sent
	Duration time.Duration
	CPU      time.Duration
}

func directRequests(c *cast) ([]float64, error) {
	s := c.spec
	copier, err := c.brief(&s, "copier")
	if err != nil {
		return nil, err
	}
	client, err := c.start("client")
	if err != nil {
		return nil, err
	}
	if err := client.In.Encode(s); err != nil {
		return nil, err
	}
	var done served
	if err := copier.Out.Decode(&done); err != nil {
		return nil, err
	}
	n := float64(done.Requests)
	return []float64{n / done.Duration.Seconds(), float64(done.CPU) / 1e3 / n, float64(done.Segments) / n}, nil
}

func playRequester(s spec, _ *json.Decoder, _ *json.Encoder) error {
	e, err := dial(overTCP, s.Up[0], s.Congestion)
	if err != nil {
		return err
	}
	c := e.(*net.TCPConn)
	ask := []byte{'.'}
	for begin := machine.Monotonic(); machine.Monotonic()-begin < s.For; {
		if _, err := c.Write(ask); err != nil {
			return err
		}
		n, err := socket.Discard(c, headerSize+int64(s.Write))
		if err == nil && n < headerSize+int64(s.Write) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return c.Close()
}

func playFileServer(s spec, _ *json.Decoder, out *json.Encoder) error {
	name := filepath.Join(s.Files[onTmpfs], "answer")
	if err := fillFile(name, s.Write); err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	l, err := listen(overTCP)
	if err != nil {
		return err
	}
	s.Up = []string{l.Addr().String()}
	if err := out.Encode(s); err != nil {
		return err
	}
	e, err := accept(l, s.Congestion)
	if err != nil {
		return err
	}
	c := e.(*net.TCPConn)
	answer := serverKinds[s.Kind]
	header, asked := make([]byte, headerSize), make([]byte, 1)
	before, err := dataSegments(c)
	if err != nil {
		return err
	}
	var done served
	begin, used := machine.Monotonic(), machine.ProcessCPU()
	for {
		if _, err := io.ReadFull(c, asked); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := answer(c, header, f); err != nil {
			return err
		}
		done.Requests++
	}
	done.Duration, done.CPU = machine.Monotonic()-begin, machine.ProcessCPU()-used
	after, err := dataSegments(c)
	done.Segments = after - before
	return errors.Join(err, c.Close(), out.Encode(done))
}

// dataSegments is how many segments with data a connection has sent.
func dataSegments(c *net.TCPConn) (int64, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	var failure error
	err = raw.Control(func(fd uintptr) {
		info, failure = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err == nil {
		err = failure
	}
	if err != nil {
		return 0, err
	}
	return int64(info.Data_segs_out), nil
}
