package relay

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// Bared is what Open may return in place of what gets the bytes: Bare is that. Close ends both, and may take its time.
type Bared interface {
	io.WriteCloser
	Bare() io.WriteCloser
}

// Abandonable is a Bared that leaves something behind if the process ends before its Close has returned, such as a
// command. Abandon is called when nobody waits for that any more, before Close or while it runs: then Close is to return
// within three seconds, in which Shutdown waits for it all the same. Abandon itself returns at once.
type Abandonable interface {
	Bared
	Abandon()
}

// abandonPatience is how long Shutdown waits for what it has abandoned.
const abandonPatience = 3 * time.Second

// abandon tells what has been opened, if it wants to know.
func abandon(opened io.Closer) (is bool) {
	a, is := opened.(Abandonable)
	if is {
		a.Abandon()
	}
	return is
}

// closing counts what is being ended beside the relay: mirrors, and connections, which are those of no mirror.
type closing map[*mirroring]int

// has tells whether one of them still is.
func (c closing) has(some []*mirroring) bool {
	for _, m := range some {
		if c[m] > 0 {
			return true
		}
	}
	return false
}

// beside ends what is left of a connection that is over, its own or a mirror's, beside the relay; Shutdown waits for it.
func (r *Relay) beside(m *mirroring, end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing[m]++
	go func() {
		end()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.closing[m]--; r.closing[m] == 0 {
			delete(r.closing, m)
		}
		r.idle.Broadcast()
	}()
}

// abandonMirrors tells those that are being closed, and those of connections that are stuck in them, that nobody waits
// any more, and waits for a while for those who wanted to know.
func (r *Relay) abandonMirrors() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all, told []*mirroring
	for m := range r.closing {
		if m != nil {
			all = append(all, m)
		}
	}
	for _, c := range r.conns {
		if c.moving {
			all = append(all, c.mirrors...)
		}
	}
	r.mu.Unlock()
	for _, m := range all {
		if m.abandon() {
			told = append(told, m)
		}
	}
	r.mu.Lock()
	late := false
	timer := time.AfterFunc(abandonPatience, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		late = true
		r.idle.Broadcast()
	})
	defer timer.Stop()
	for !late && r.closing.has(told) {
		r.idle.Wait()
	}
}

// abandon tells what has been opened, or will be, that nobody waits for its end. It tells whether it wanted to know.
func (m *mirroring) abandon() bool {
	m.mu.Lock()
	m.abandoned = true
	opened := m.opened
	m.mu.Unlock()
	return abandon(opened)
}

// bare returns what is to get the bytes, and keeps what is to be closed.
func (m *mirroring) bare(b Bared) (io.WriteCloser, error) {
	m.mu.Lock()
	over, abandoned := m.over, m.abandoned
	m.opened = b
	m.mu.Unlock()
	if abandoned {
		abandon(b)
	}
	if over {
		return nil, errors.Join(os.ErrClosed, b.Close())
	}
	return b.Bare(), nil
}

func (m *mirroring) closeAll() error {
	m.mu.Lock()
	opened := m.opened
	m.over = true
	m.mu.Unlock()
	if opened != nil {
		return opened.Close()
	}
	return m.late.Close()
}

// grace is how long a mirror may take to return from a Write when nobody waits for it any more.
const grace = 100 * time.Millisecond

// unstick closes mirrors that are in a Write which has no deadline when their time is over: what it waits for may never
// come, and the copy is over only when it has returned. Stop is for a copy that is.
func (c *conn) unstick(ctx context.Context) (stop func()) {
	most := time.Duration(0)
	for _, m := range c.mirrors {
		most = max(most, cmp.Or(m.mirror.Linger, DefaultMirrorLinger))
	}
	timer := time.AfterFunc(most+grace, func() {
		for _, m := range c.mirrors {
			go m.close() // which tells its error once more, and then it is logged
		}
	})
	ended := context.AfterFunc(ctx, func() { timer.Reset(grace) })
	return func() {
		ended()
		timer.Stop()
	}
}
