package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/bench/internal/socket"
)

// pipeline is several programs, each of which reads what the one before writes.
type pipeline struct {
	commands []*exec.Cmd
	said     []*bytes.Buffer
}

// startPipeline starts the programs. The first reads in, and the last writes to out; nil is nothing.
func startPipeline(in, out *os.File, stages ...[]string) (_ *pipeline, err error) {
	p := new(pipeline)
	defer func() {
		if err != nil {
			p.kill()
			_ = p.wait() // it was killed
		}
	}()
	from := in
	for i, argv := range stages {
		c := exec.Command(argv[0], argv[1:]...)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // however this process ends
		text := new(bytes.Buffer)
		c.Stderr = text
		if from != nil {
			c.Stdin = from
		}
		var next, to *os.File
		if i == len(stages)-1 {
			to = out
		} else if next, to, err = os.Pipe(); err != nil {
			return nil, err
		}
		if to != nil {
			c.Stdout = to
		}
		err := c.Start()
		if i > 0 {
			from.Close()
		}
		if to != out {
			to.Close()
		}
		if err != nil {
			if next != nil {
				next.Close()
			}
			return nil, err
		}
		p.commands, p.said = append(p.commands, c), append(p.said, text)
		from = next
	}
	return p, nil
}

// wait waits for all of them. One that fails says why.
func (p *pipeline) wait() (err error) {
	for i, c := range p.commands {
		if werr := c.Wait(); werr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), werr, p.said[i]))
		}
	}
	return err
}

func (p *pipeline) kill() {
	for _, c := range p.commands {
		_ = c.Process.Kill() // it may have ended
	}
}

// used is the CPU time of some of them, user and system, once all have been waited for. (wait4(2))
func (p *pipeline) used(from, to int) (total time.Duration) {
	for _, c := range p.commands[from:to] {
		total += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	return total
}

// source is a listener that sends a file to whoever connects first, and cheaply: by sendfile(2).
type source struct {
	net.Listener
	done chan error
}

func serveFile(path string) (*source, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &source{l, make(chan error, 1)}
	go func() { s.done <- s.send(path) }()
	return s, nil
}

func (s *source) send(path string) error {
	c, err := s.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := socket.SetCongestion(c.(*net.TCPConn), "cubic"); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(c, f)
	return err
}

// sink is a listener that takes what whoever connects first sends: what is compared with a file, or thrown away by the
// kernel and counted.
type sink struct {
	net.Listener
	done chan error
}

func takeAll(size int64, compare string) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{l, make(chan error, 1)}
	go func() { s.done <- s.take(size, compare) }()
	return s, nil
}

func (s *sink) take(size int64, compare string) error {
	c, err := s.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	if compare != "" {
		return sameAs(compare, c)
	}
	n, err := socket.Discard(c.(*net.TCPConn), -1)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes of %d arrived", n, size)
	}
	return err
}

// sameAs tells where a stream is not what a file holds.
func sameAs(path string, r io.Reader) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := 0; ; {
		n, err := io.ReadFull(f, a)
		m, rerr := io.ReadFull(r, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("not the same bytes behind byte %d: %v", at, rerr)
		}
		if at += n; err != nil {
			return nil // both have ended
		}
	}
}
