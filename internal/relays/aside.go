package relays

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// The bounds of a log that is written aside.
const (
	asideQueue    = 1024            // records that wait to be written; beyond it they are left out
	asidePatience = 2 * time.Second // at the end, for what has not been written
)

// Aside returns a logger whose records the handler gets from another goroutine than that of who logs: a standard error
// that nobody reads holds no relay up. What there is no room for is left out, and its number is told when there is again.
// finish waits, for a while, until all has been handled; what is logged after it is dropped.
func Aside(h slog.Handler) (log *slog.Logger, finish func()) {
	q := &asideRecords{written: make(chan struct{}), records: make(chan asideRecord, asideQueue)}
	go q.write(h)
	return slog.New(aside{h, q}), q.finish
}

// aside is a handler that only queues.
type aside struct {
	slog.Handler // what the records are for
	queue        *asideRecords
}

func (a aside) Handle(ctx context.Context, r slog.Record) error {
	a.queue.add(asideRecord{ctx, a.Handler, r.Clone()})
	return nil
}

func (a aside) WithAttrs(attrs []slog.Attr) slog.Handler {
	return aside{a.Handler.WithAttrs(attrs), a.queue}
}

func (a aside) WithGroup(name string) slog.Handler { return aside{a.Handler.WithGroup(name), a.queue} }

// asideRecord is one that waits, and for whom.
type asideRecord struct {
	ctx context.Context
	to  slog.Handler
	slog.Record
}

// asideRecords are those that wait.
type asideRecords struct {
	records chan asideRecord
	written chan struct{} // closed when all have been

	mu       sync.Mutex // guards what follows, and is never held while something is written
	lost     int        // records, since that was told
	finished bool
}

func (q *asideRecords) add(r asideRecord) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished {
		return
	}
	select {
	case q.records <- r:
	default:
		q.lost++
	}
}

// write handles what waits. That a log cannot be written is nothing that could be told anybody.
func (q *asideRecords) write(h slog.Handler) {
	defer close(q.written)
	log := slog.New(h)
	for r := range q.records {
		_ = r.to.Handle(r.ctx, r.Record)
		if n := q.takeLost(); n > 0 {
			log.Warn("records are missing from this log", "records", n)
		}
	}
}

func (q *asideRecords) takeLost() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.lost
	q.lost = 0
	return n
}

func (q *asideRecords) finish() {
	q.mu.Lock()
	if !q.finished {
		q.finished = true
		close(q.records)
	}
	q.mu.Unlock()
	select {
	case <-q.written:
	case <-time.After(asidePatience):
	}
}
