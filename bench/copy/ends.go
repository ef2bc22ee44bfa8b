package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/socket"
)

// What is copied from and to, as [spec.From] and [spec.To] name it.
const (
	overTCP  = "tcp"
	overUnix = "unix"
	byPipe   = "pipe"  // of the kernel, non-blocking, as os.Pipe makes it
	byStdio  = "stdio" // of the kernel, blocking, as a program's standard input is
	onTmpfs  = "tmpfs" // a file that is in memory
	onDisk   = "disk"  // a file that is in the page cache
)

func isSocket(kind string) bool { return kind == overTCP || kind == overUnix }
func isPipe(kind string) bool   { return kind == byPipe || kind == byStdio }
func isFile(kind string) bool   { return kind == onTmpfs || kind == onDisk }

// localSink tells whether nobody else takes what is copied there.
func localSink(kind string) bool { return isFile(kind) || kind == os.DevNull }

// playSpec gives a role what it asks and answers by.
func playSpec(play func(s spec, in *json.Decoder, out *json.Encoder) error) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var s spec
	if err := in.Decode(&s); err != nil {
		return err
	}
	return play(s, in, out)
}

// end is a connection or a file.
type end interface {
	io.ReadWriteCloser
	syscall.Conn
}

// listen returns a listener for one side of a copier.
func listen(network string) (net.Listener, error) {
	if network == overUnix {
		name := fmt.Sprintf("bench-copy-%d-%d", os.Getpid(), unixNumber())
		return net.Listen(overUnix, filepath.Join(os.TempDir(), name))
	}
	return net.Listen(overTCP, "127.0.0.1:0")
}

var unixListeners int

func unixNumber() int { unixListeners++; return unixListeners }

// accept takes the next connection and chooses the congestion control of what it sends.
func accept(l net.Listener, congestion string) (end, error) {
	c, err := l.Accept()
	if err != nil {
		return nil, err
	}
	return prepared(c, congestion)
}

func dial(network, addr, congestion string) (end, error) {
	c, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return prepared(c, congestion)
}

func prepared(c net.Conn, congestion string) (end, error) {
	e := c.(end)
	if _, ok := c.(*net.TCPConn); !ok {
		return e, nil
	}
	return e, socket.SetCongestion(e, congestion)
}

// inherited returns the pipe that this process was started with as a descriptor.
func inherited(kind string, fd int) (end, error) {
	// Whoever passed it on has made it blocking.
	if err := unix.SetNonblock(fd, kind == byPipe); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), kind), nil
}

// awaitReadable waits, in a thread of its own, until there is something to copy.
func awaitReadable(e end) error {
	raw, err := e.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		for {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if _, failure = unix.Poll(fds, -1); failure != unix.EINTR {
				return
			}
		}
	})
	if err == nil {
		err = failure
	}
	return err
}

// workplace is where the files are.
type workplace struct{ files map[string]string }

// sourceName is the file that is copied from, in the place of its kind.
const (
	sourceName = "source"
	sourceSize = 256 << 20
)

// newWorkplace makes the files to be copied.
func newWorkplace() (*workplace, error) {
	w := &workplace{map[string]string{}}
	for kind, parent := range map[string]string{onTmpfs: "/dev/shm", onDisk: ""} {
		dir, err := os.MkdirTemp(parent, "bench-copy")
		if err != nil {
			w.remove()
			return nil, err
		}
		w.files[kind] = dir
		if err := fillFile(filepath.Join(dir, sourceName), sourceSize); err != nil {
			w.remove()
			return nil, err
		}
	}
	return w, nil
}

func (w *workplace) remove() {
	for _, dir := range w.files {
		os.RemoveAll(dir) // what cannot be removed is in a folder for such things
	}
}

func fillFile(name string, size int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	for done := 0; done < size && err == nil; done += len(b) {
		_, err = f.Write(b[:min(size-done, len(b))])
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
