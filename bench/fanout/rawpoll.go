package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawPoll does what rawLoop does, and waits the way Go programs do: through the runtime's poller. One goroutine reads
// the source and serves the viewers that are in step; each viewer has a goroutine that takes over while the viewer
// would block, catches up from the ring, and puts it back in step.
type rawPoll struct {
	chunk int  // bytes of each pipe
	once  bool // see rawLoop
	ahead int  // chunks in flight; 0 is lock step
}

type pollViewer struct {
	raw      syscall.RawConn
	fd       int
	wake     chan struct{} // hands the viewer to its goroutine
	pipe     pipe          // kept only while it has a remainder
	owned    bool
	from     int
	left     int64
	next     int64
	inStep   bool
	consumes *rawChunk
}

type pollRun struct {
	rawPoll
	source  syscall.RawConn
	viewers []pollViewer

	mu     sync.Mutex // guards what follows, every chunk's users, and each viewer's next and inStep
	freed  sync.Cond  // a chunk came free, a viewer came back in step, or err was set
	ring   []rawChunk
	head   int64
	tail   int64
	behind int // viewers not in step
	spare  []pipe
	err    error
}

func (o rawPoll) relay(src *net.TCPConn, viewers []*net.TCPConn) (err error) {
	r := &pollRun{rawPoll: o, ring: make([]rawChunk, max(1, o.ahead)), viewers: make([]pollViewer, len(viewers))}
	r.freed.L = &r.mu
	if r.source, err = src.SyscallConn(); err != nil {
		return err
	}
	for i := range r.ring {
		if r.ring[i].pipe, err = newPipe(o.chunk); err != nil {
			return err
		}
	}
	for i, c := range viewers {
		v := &r.viewers[i]
		v.inStep, v.wake = true, make(chan struct{}, 1)
		if v.raw, err = c.SyscallConn(); err != nil {
			return err
		}
		if err := v.raw.Control(func(fd uintptr) { v.fd = int(fd) }); err != nil {
			return err
		}
		go r.catchUp(v)
	}
	if err := r.run(); err != nil {
		return err // other viewers may be at it still: the pipes go with the process
	}
	r.close()
	if err := src.Close(); err != nil {
		return err
	}
	return closeAll(viewers)
}

// close gives back what only relay made. Preconditions: every viewer is in step.
func (r *pollRun) close() {
	for i := range r.viewers {
		close(r.viewers[i].wake)
	}
	for _, c := range r.ring {
		c.pipe.close()
	}
	for _, p := range r.spare {
		p.close()
	}
}

func (r *pollRun) run() error {
	for {
		c, err := r.freeChunk()
		if err != nil {
			return err
		}
		n, err := r.intake(c)
		if err == io.EOF {
			return r.finish()
		}
		if err != nil {
			return err
		}
		r.mu.Lock()
		c.n, c.users = n, len(r.viewers)
		r.head++
		inStep := make([]*pollViewer, 0, len(r.viewers))
		for i := range r.viewers {
			if r.viewers[i].inStep {
				inStep = append(inStep, &r.viewers[i])
			}
		}
		r.mu.Unlock()
		for _, v := range inStep {
			if err := r.serve(v); err != nil {
				return err
			}
		}
	}
}

// freeChunk waits for room in the ring or, in lock step, for everybody.
func (r *pollRun) freeChunk() (*rawChunk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.err == nil && (r.head-r.tail == int64(len(r.ring)) || r.ahead == 0 && r.behind > 0) {
		r.freed.Wait()
	}
	return &r.ring[r.head%int64(len(r.ring))], r.err
}

func (r *pollRun) intake(c *rawChunk) (n int64, err error) {
	waitErr := r.source.Read(func(fd uintptr) bool {
		n, err = fillRun(int(fd), c.pipe, r.chunk, r.once)
		return err != unix.EAGAIN
	})
	if err == nil {
		err = waitErr
	}
	return n, err
}

// serve sends a viewer in step its next chunk without waiting; what is left goes to its goroutine.
func (r *pollRun) serve(v *pollViewer) error {
	r.mu.Lock()
	err := r.takeChunkLocked(v)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	done, err := r.push(v, v.fd)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if done {
		r.finishChunkLocked(v)
		return nil
	}
	v.inStep = false
	r.behind++
	v.wake <- struct{}{}
	return nil
}

// push sends what is left and tells whether that is all of it.
func (r *pollRun) push(v *pollViewer, fd int) (done bool, err error) {
	for v.left > 0 {
		n, err := splice(v.from, fd, v.left)
		if err == unix.EAGAIN {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		v.left -= n
	}
	return true, nil
}

// catchUp is the viewer's goroutine.
func (r *pollRun) catchUp(v *pollViewer) {
	for range v.wake {
		for again := true; again; {
			var err error
			waitErr := v.raw.Write(func(fd uintptr) bool {
				var done bool
				done, err = r.push(v, int(fd))
				return done || err != nil
			})
			if err == nil {
				err = waitErr
			}
			r.mu.Lock()
			r.finishChunkLocked(v)
			if err == nil && v.next < r.head {
				err = r.takeChunkLocked(v)
			} else {
				v.inStep, again = true, false
				r.behind--
				r.freed.Signal()
			}
			if err != nil && r.err == nil {
				r.err = fmt.Errorf("viewer: %w", err)
				r.freed.Signal()
			}
			r.mu.Unlock()
		}
	}
}

func (r *pollRun) takeChunkLocked(v *pollViewer) error {
	c := &r.ring[v.next%int64(len(r.ring))]
	v.next++
	v.left = c.n
	if c.users == 1 {
		v.from, v.consumes = c.pipe.r, c
		return nil
	}
	if len(r.spare) == 0 {
		p, err := newPipe(r.chunk)
		if err != nil {
			return err
		}
		r.spare = append(r.spare, p)
	}
	v.pipe, v.owned = r.spare[len(r.spare)-1], true
	r.spare = r.spare[:len(r.spare)-1]
	v.from = v.pipe.r
	c.users--
	return teeRun(c.pipe.r, v.pipe.w, c.n)
}

func (r *pollRun) finishChunkLocked(v *pollViewer) {
	if v.owned {
		r.spare, v.owned = append(r.spare, v.pipe), false
	}
	if v.consumes == nil {
		return
	}
	v.consumes.users, v.consumes = 0, nil
	for r.tail < r.head && r.ring[r.tail%int64(len(r.ring))].users == 0 {
		r.tail++
		r.freed.Signal()
	}
}

// finish waits until every viewer has everything.
func (r *pollRun) finish() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.err == nil && r.behind > 0 {
		r.freed.Wait()
	}
	return r.err
}
