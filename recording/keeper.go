package recording

import (
	"errors"
	"time"
)

// keeper does what may take a disk long and that SpliceWrite is not to wait for: it syncs, and closes segments that
// have ended. It is one goroutine, so a file is never synced after it has been closed.
type keeper struct {
	ended chan *segment // to be closed, in order
	done  chan struct{}
}

// keep starts the keeper.
func (r *Recording) keep() *keeper {
	k := &keeper{ended: make(chan *segment, waitingSegments), done: make(chan struct{})}
	go func() {
		defer close(k.done)
		var tick <-chan time.Time
		if r.cfg.Sync > 0 {
			t := time.NewTicker(r.cfg.Sync)
			defer t.Stop()
			tick = t.C
		}
		for {
			select {
			case s, ok := <-k.ended:
				if !ok {
					return
				}
				r.finish(s)
			case <-tick:
				r.syncGrowing()
			}
		}
	}()
	return k
}

// stop waits until every segment that has ended is closed.
func (k *keeper) stop() {
	close(k.ended)
	<-k.done
}

// syncGrowing syncs the segment that is being written.
func (r *Recording) syncGrowing() {
	s, end := r.growing()
	if s == nil || s.synced == end {
		return
	}
	err := r.sync(s.file)
	if err == nil {
		s.synced = end
		r.syncIndex()
		return
	}
	// What was written meanwhile may be what could not be, too. The kernel says so only once. (fsync(2), Linux 4.13)
	s.suspect.Store(max(1, int64(time.Since(s.began))))
	from := s.synced
	if now, end := r.growing(); now == s {
		s.synced = end
	} else {
		s.synced = r.endOf(s)
	}
	r.doubt(s, from, s.synced, err)
}

// growing returns the segment that is being written, nil if there is none, and how far it has come.
func (r *Recording) growing() (*segment, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.growing(), r.end.Load()
}

// endOf returns where a segment ended. Precondition: it has.
func (r *Recording) endOf(s *segment) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.to
}

// finish closes a segment that has ended.
func (r *Recording) finish(s *segment) {
	to := r.endOf(s)
	if r.cfg.Sync != 0 && s.synced < to {
		if err := r.sync(s.file); err != nil {
			r.doubt(s, s.synced, to, err)
			s.err = err
		}
		s.synced = to
	}
	if err := r.shut(s.file); err != nil {
		r.doubt(s, s.from, to, err)
		s.err = errors.Join(s.err, err)
	}
	r.syncIndex()
	r.emit(Event{Kind: SegmentEnded, File: s.name, From: s.from, To: to, At: s.at, Err: s.err})
}

func (r *Recording) syncIndex() {
	if r.index != nil && r.cfg.Sync != 0 {
		r.indexed(r.index.sync())
	}
}

// doubt says that part of a segment may not be on the disk.
func (r *Recording) doubt(s *segment, from, to int64, err error) {
	now := time.Now()
	r.mu.Lock()
	r.state.doubts++
	r.state.doubted += to - from
	r.state.lastErr = err
	r.mu.Unlock()
	if r.index != nil {
		r.index.doubt(from, to, now, err)
		r.writeIndex()
	}
	r.emit(Event{Kind: SyncFailed, File: s.name, From: from, To: to, At: now, Err: err})
}
