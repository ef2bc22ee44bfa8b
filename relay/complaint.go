package relay

import (
	"log/slog"
	"sync"
	"time"
)

// complaintEvery is how often a mirror is complained of at most.
const complaintEvery = 10 * time.Second

// complaints tells the log what mirrors lack: at once of the first connection of which one has not had everything, and
// then at most every complaintEvery of all that came since. A mirror that is gone lacks every connection: a line for
// each would bury the log. Counters are exact all the same.
type complaints struct {
	log func() *slog.Logger // as it is when there is something to tell

	mu sync.Mutex            // guards what follows
	by map[string]*complaint // by the mirror's name: those of the last complaintEvery
}

// complaint is what has not been told yet of one mirror.
type complaint struct {
	mirror      string
	timer       *time.Timer // until it is to be told, or forgotten if there is nothing to tell
	connections int
	lost        int64 // bytes
	err         error // the last one
	some        bool
}

// lack is what one mirror lacks of one connection.
type lack struct {
	mirror     string
	connection uint64
	direction  Direction // those that are concerned
	had, lost  int64     // bytes, of these
	err        error     // nil is that it was only too slow
	counted    bool      // the connection was complained of before
}

// add tells of a lack, now or later.
func (cs *complaints) add(l lack) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	one := cs.by[l.mirror]
	if one == nil {
		if cs.by == nil {
			cs.by = make(map[string]*complaint)
		}
		one = &complaint{mirror: l.mirror}
		one.timer = time.AfterFunc(complaintEvery, func() { cs.tell(one) })
		cs.by[l.mirror] = one
		cs.log().Warn("mirror", "mirror", l.mirror, "connection", l.connection, "direction", l.direction.String(),
			"bytes", l.had, "lost", l.lost, failedWith(l.err))
		return
	}
	one.some = true
	if !l.counted {
		one.connections++
	}
	one.lost += l.lost
	if l.err != nil {
		one.err = l.err
	}
}

// tell says what has come since, and begins anew; where nothing has, the next lack is the first again.
func (cs *complaints) tell(one *complaint) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.by[one.mirror] != one {
		return // flush was first
	}
	if !one.some {
		delete(cs.by, one.mirror)
		return
	}
	cs.sayLocked(one)
	*one = complaint{mirror: one.mirror, timer: one.timer}
	one.timer.Reset(complaintEvery)
}

func (cs *complaints) sayLocked(one *complaint) {
	cs.log().Warn("mirror", "mirror", one.mirror, "connections", one.connections, "lost", one.lost, failedWith(one.err))
}

// failedWith is nothing where there is no error.
func failedWith(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.Any("error", err)
}

// flush says what has not been said, for there may be no later.
func (cs *complaints) flush() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for name, one := range cs.by {
		one.timer.Stop()
		if one.some {
			cs.sayLocked(one)
		}
		delete(cs.by, name)
	}
}
