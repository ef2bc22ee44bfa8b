package main

import (
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// rawLoop is the yardstick: one thread, one epoll set, and nothing but splice(2), tee(2) and epoll_wait(2).
//
//	source ─splice→ chunk pipe ─tee→ viewer's pipe ─splice→ socket    every viewer but the last
//	                chunk pipe ─splice→ socket                        the last one consumes
//
// A viewer holds a pipe of its own only while part of a chunk is left in it: one that takes all of it at once gives the
// pipe, empty, to the next.
type rawLoop struct {
	chunk int  // bytes of each pipe
	once  bool // splice in once per chunk, instead of until the source is empty or the pipe full
	ahead int  // chunks in flight; 0 is lock step: read on only when every viewer has everything
}

// rawChunk is a run of the stream, in a pipe, that users viewers have yet to tee or, the last of them, to consume.
type rawChunk struct {
	pipe  pipe
	n     int64
	users int
}

// rawViewer is at chunk number next. While left is not 0 it still has to send that much of from.
type rawViewer struct {
	fd       int
	next     int64
	left     int64
	from     int  // the read end of what it is sending: pipe.r or the chunk's
	pipe     pipe // its own, if owned
	owned    bool
	consumes *rawChunk // set while from is the chunk itself
	writable bool
}

// rawRun is the state of one relay.
type rawRun struct {
	rawLoop
	source   int
	readable bool
	ended    bool
	poll     int
	ring     []rawChunk
	head     int64 // number of the next chunk to fill
	tail     int64 // number of the oldest chunk in use
	viewers  []rawViewer
	spare    []pipe // empty, and the last one put back is the next one taken: it is warm in the cache
	busy     int    // viewers with something left
}

func (o rawLoop) relay(src *net.TCPConn, viewers []*net.TCPConn) error {
	r := &rawRun{rawLoop: o, source: -1, poll: -1, readable: true}
	defer r.close()
	if err := r.open(src, viewers); err != nil {
		return err
	}
	return r.run()
}

// open takes the connections and makes what the loop needs; what it made before an error is there for close.
func (r *rawRun) open(src *net.TCPConn, viewers []*net.TCPConn) (err error) {
	if r.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if r.source, err = takeDescriptor(src); err != nil {
		return err
	}
	if err := r.watch(r.source, unix.EPOLLIN|unix.EPOLLRDHUP, -1); err != nil {
		return err
	}
	for range max(1, r.ahead) {
		p, err := newPipe(r.chunk)
		if err != nil {
			return err
		}
		r.ring = append(r.ring, rawChunk{pipe: p})
	}
	for i, c := range viewers {
		fd, err := takeDescriptor(c)
		if err != nil {
			return err
		}
		r.viewers = append(r.viewers, rawViewer{fd: fd, writable: true})
		if err := r.watch(fd, unix.EPOLLOUT, i); err != nil {
			return err
		}
	}
	return nil
}

// close ends every viewer's stream and gives everything back.
func (r *rawRun) close() {
	for _, v := range r.viewers {
		unix.Close(v.fd)
		if v.owned {
			v.pipe.close()
		}
	}
	for _, c := range r.ring {
		c.pipe.close()
	}
	for _, p := range r.spare {
		p.close()
	}
	unix.Close(r.source)
	unix.Close(r.poll)
}

func (r *rawRun) watch(fd int, events uint32, number int) error {
	return unix.EpollCtl(r.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(number)})
}

func (r *rawRun) run() error {
	for {
		if err := r.intake(); err != nil {
			return err
		}
		for i := range r.viewers {
			if err := r.deliver(&r.viewers[i]); err != nil {
				return fmt.Errorf("viewer %d: %w", i, err)
			}
		}
		if r.canIntake() {
			continue
		}
		if r.ended && r.tail == r.head && r.busy == 0 {
			return nil
		}
		if err := r.wait(); err != nil {
			return err
		}
	}
}

func (r *rawRun) canIntake() bool {
	if r.ended || !r.readable {
		return false
	}
	if r.ahead == 0 {
		return r.tail == r.head && r.busy == 0
	}
	return r.head-r.tail < int64(len(r.ring))
}

// intake fills one chunk if it may and there is something to read. One only: it is delivered while it is warm.
func (r *rawRun) intake() error {
	if !r.canIntake() {
		return nil
	}
	c := &r.ring[r.head%int64(len(r.ring))]
	n, err := fillRun(r.source, c.pipe, r.chunk, r.once)
	switch {
	case err == unix.EAGAIN:
		r.readable = false
		return nil
	case err == io.EOF:
		r.ended = true
		return nil
	case err != nil:
		return err
	}
	c.n, c.users = n, len(r.viewers)
	r.head++
	return nil
}

// deliver sends to a viewer until it has everything or would block.
func (r *rawRun) deliver(v *rawViewer) error {
	for v.writable {
		if v.left == 0 {
			if v.next == r.head {
				return nil
			}
			if err := r.takeChunk(v); err != nil {
				return err
			}
		}
		n, err := splice(v.from, v.fd, v.left)
		if err == unix.EAGAIN {
			v.writable = false
			return nil
		}
		if err != nil {
			return err
		}
		if v.left -= n; v.left == 0 {
			r.finishChunk(v)
		}
	}
	return nil
}

// takeChunk gives the viewer its next chunk: a duplicate, or the chunk itself when nobody else needs it any more.
func (r *rawRun) takeChunk(v *rawViewer) error {
	c := &r.ring[v.next%int64(len(r.ring))]
	v.next++
	v.left = c.n
	r.busy++
	if c.users == 1 {
		v.from, v.consumes = c.pipe.r, c
		return nil
	}
	if !v.owned {
		if len(r.spare) == 0 {
			p, err := newPipe(r.chunk)
			if err != nil {
				return err
			}
			r.spare = append(r.spare, p)
		}
		v.pipe, v.owned = r.spare[len(r.spare)-1], true
		r.spare = r.spare[:len(r.spare)-1]
	}
	v.from = v.pipe.r
	c.users--
	return teeRun(c.pipe.r, v.pipe.w, c.n)
}

func (r *rawRun) finishChunk(v *rawViewer) {
	r.busy--
	if v.consumes != nil {
		v.consumes.users, v.consumes = 0, nil
		for r.tail < r.head && r.ring[r.tail%int64(len(r.ring))].users == 0 {
			r.tail++
		}
	}
	if v.owned {
		r.spare, v.owned = append(r.spare, v.pipe), false
	}
}

func (r *rawRun) wait() error {
	var events [64]unix.EpollEvent
	n, err := unix.EpollWait(r.poll, events[:], -1)
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range events[:n] {
		if e.Fd < 0 {
			r.readable = true
		} else {
			r.viewers[e.Fd].writable = true
		}
	}
	return nil
}
