package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/delays"
	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/pace"
)

// The viewers are one thread with one epoll set, so that they cost little: they share the machine with the server. One
// in spec.Parse reads its stream and checks it, the others let the kernel discard theirs (recv with MSG_TRUNC).

// watched is what the viewers saw in the window.
type watched struct {
	Joined  int           // viewers that have got some of the stream, since the beginning
	Bytes   int64         // of all viewers
	Arrived int64         // messages, of those that parse
	Lost    int64         // messages that were left out, of those that parse
	Gone    int           // viewers whose connection has ended, since the beginning
	Delays  delays.Delays // from when a message was due until a viewer had all of it
}

// viewer is one connection.
type viewer struct {
	fd       int
	answered bool   // the answer's header is behind it
	begun    bool   // it has got some of the stream
	rest     []byte // of the answer or of a message
	parser   *parser
}

// audience is all viewers.
type audience struct {
	spec
	poll    int
	viewers []viewer
	got     watched
	buffer  []byte
	failure error // of a stream that is damaged, or of a server that does not answer as it should
}

// mostDiscarded is how much one recv discards. What is read at once leaves room in the buffer for what came before.
const (
	mostDiscarded = 1 << 20
	mostRead      = 256 << 10
	eventsAtOnce  = 1024
	pollTimeout   = 20 // ms: new viewers and commands are looked for so often
)

// playViewers connects the viewers, says when all have got some of the stream, or as many as do in spec.RampWithin, and
// then answers "begin" and "end" with what they saw since the answer before.
func playViewers(s spec, in *json.Decoder, out *json.Encoder) error {
	if _, err := machine.AllowDescriptors(s.Viewers + 100); err != nil {
		return err
	}
	a := &audience{spec: s, buffer: make([]byte, mostRead+longestAnswer+s.Message)}
	var err error
	if a.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	defer unix.Close(a.poll)
	connected, failed := make(chan int, s.Viewers), make(chan error, 1)
	enough := make(chan struct{})
	go func() { failed <- connectAll(s, connected, enough) }()
	within := time.After(s.RampWithin)
	commands := make(chan string)
	go func() {
		defer close(commands)
		for {
			var c string
			if in.Decode(&c) != nil {
				return // the end: nobody asks any more
			}
			commands <- c
		}
	}()
	runtime.LockOSThread()
	ready := false
	for a.failure == nil {
		if err := a.attend(); err != nil {
			return err
		}
		select {
		case fd := <-connected:
			if err := a.admit(fd, connected); err != nil {
				return err
			}
		case err := <-failed:
			if err != nil {
				return err
			}
		case _, more := <-commands:
			if !more {
				return nil
			}
			if err := out.Encode(a.got); err != nil {
				return err
			}
			a.got = watched{Joined: a.got.Joined, Gone: a.got.Gone}
		case <-within:
			close(enough)
			within = nil
		default:
		}
		if !ready && (a.got.Joined == s.Viewers || within == nil) {
			ready = true
			if err := out.Encode(a.got); err != nil {
				return err
			}
		}
	}
	return a.failure
}

// connecting is how many viewers may be on their way at once. A server that listens with a short queue leaves one of them
// waiting for a second or more, but not the others.
const connecting = 16

// connectAll connects the viewers, evenly and no faster than spec.Ramp, until there are enough, and sends the request of
// each.
func connectAll(s spec, connected chan<- int, enough <-chan struct{}) error {
	addr, err := net.ResolveTCPAddr("tcp4", s.Watch)
	if err != nil {
		return err
	}
	to := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	beat, err := pace.Start(time.Second / time.Duration(s.Ramp))
	if err != nil {
		return err
	}
	turns, failed := make(chan struct{}, connecting), make(chan error, s.Viewers)
	for range s.Viewers {
		if _, err := beat.Next(); err != nil {
			return err
		}
		select {
		case turns <- struct{}{}:
		case <-enough:
			return nil
		}
		go func() {
			fd, err := connect(to, s.WatchRequest)
			if err == nil {
				connected <- fd
			}
			failed <- err
			<-turns
		}()
	}
	for range s.Viewers {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

func connect(to unix.Sockaddr, request string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, to); err != nil {
		return -1, errors.Join(os.NewSyscallError("connect", err), unix.Close(fd))
	}
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		return -1, errors.Join(os.NewSyscallError("write", err), unix.Close(fd))
	}
	return fd, os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}

// admit takes the viewer and all others that have connected meanwhile.
func (a *audience) admit(fd int, connected <-chan int) error {
	for {
		v := viewer{fd: fd}
		if len(a.viewers)%a.Parse == 0 {
			v.parser = &parser{like: newMessage(a.Message)}
			if len(a.viewers) > 0 {
				v.parser.like = a.viewers[0].parser.like
			}
		}
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(a.viewers))}
		a.viewers = append(a.viewers, v)
		if err := unix.EpollCtl(a.poll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
		select {
		case fd = <-connected:
		default:
			return nil
		}
	}
}

// attend waits for what has come and takes it, once from each.
func (a *audience) attend() error {
	var events [eventsAtOnce]unix.EpollEvent
	n, err := unix.EpollWait(a.poll, events[:], pollTimeout)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("epoll_wait", err)
	}
	for i := range max(n, 0) {
		a.receive(&a.viewers[events[i].Fd])
	}
	return nil
}

func (a *audience) receive(v *viewer) {
	if v.answered && v.parser == nil {
		n, errno := recv(v.fd, nil, mostDiscarded, unix.MSG_TRUNC)
		if n > 0 {
			a.count(v, n)
			return
		}
		a.leave(v, errno)
		return
	}
	kept := copy(a.buffer, v.rest)
	n, errno := recv(v.fd, a.buffer[kept:], mostRead, 0)
	if n <= 0 {
		a.leave(v, errno)
		return
	}
	rest, err := a.take(v, a.buffer[:kept+n], n)
	if err != nil && a.failure == nil {
		a.failure = fmt.Errorf("a viewer: %w", err)
	}
	v.rest = append(v.rest[:0], rest...)
}

// take looks at bytes of which the last fresh ones have just come, and returns what is to be looked at again.
func (a *audience) take(v *viewer, b []byte, fresh int) (rest []byte, err error) {
	if !v.answered {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			if len(b) > longestAnswer {
				return nil, errors.New("the answer has no end")
			}
			return b, nil
		}
		if err := checkAnswer(b); err != nil {
			return nil, err
		}
		v.answered = true
		b = b[end+4:]
		fresh = len(b)
	}
	if fresh > 0 {
		a.count(v, fresh)
	}
	if v.parser == nil {
		return nil, nil
	}
	arrived, lost := v.parser.arrived, v.parser.lost
	now := machine.Monotonic()
	rest, err = v.parser.parse(b, func(due time.Duration) { a.got.Delays.Add(now - due) })
	a.got.Arrived += v.parser.arrived - arrived
	a.got.Lost += v.parser.lost - lost
	return rest, err
}

func (a *audience) count(v *viewer, n int) {
	a.got.Bytes += int64(n)
	if !v.begun {
		v.begun = true
		a.got.Joined++
	}
}

// leave is for a viewer that gets no more.
func (a *audience) leave(v *viewer, errno syscall.Errno) {
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return
	}
	var reason error = io.EOF
	if errno != 0 {
		reason = errno
	}
	if !v.begun && a.failure == nil {
		a.failure = fmt.Errorf("a viewer got nothing: %w", reason)
	}
	a.got.Gone++
	unix.Close(v.fd) // which takes it out of the epoll set
}
