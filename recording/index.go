package recording

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// indexHead is the first line of an index: what the file is, and the version of its form.
const indexHead = "penstock-recording 1"

// maxPending is how many bytes of lines wait at most for a disk that does not take them; then places are left out.
const maxPending = 64 << 10

// index writes the index file: see ReadIndex for what is in it. A line that could not be written waits, in part if part
// was, so that the file is what it would have been once the disk takes lines again.
type index struct {
	create func(at time.Time) (*os.File, error)

	mu      sync.Mutex // held while lines are written; readers of the recording never want it
	file    *os.File
	pending []byte
	at      time.Time // the last segment's: the file's, if it is still to be made
	begun   bool      // the first line has been put
	broken  bool      // until the next segment
}

// lineLocked begins a line; the rest is the caller's to append. Precondition: mu is held.
func (x *index) lineLocked(word string, offs ...int64) {
	if !x.begun {
		x.begun = true
		x.pending = append(x.pending, indexHead+"\n"...)
	}
	x.pending = append(x.pending, word...)
	for _, off := range offs {
		x.pending = append(x.pending, ' ')
		x.pending = strconv.AppendInt(x.pending, off, 10)
	}
}

// endLocked ends a line with a time and, unless it is empty, a text.
func (x *index) endLocked(at time.Time, text string) {
	x.pending = append(x.pending, ' ')
	x.pending = at.UTC().AppendFormat(x.pending, time.RFC3339Nano)
	if text != "" {
		x.pending = append(x.pending, ' ')
		x.pending = strconv.AppendQuote(x.pending, text)
	}
	x.pending = append(x.pending, '\n')
}

func (x *index) segment(s *segment) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.broken, x.at = false, s.at
	x.lineLocked("segment", s.from)
	x.endLocked(s.at, filepath.Base(s.name))
}

func (x *index) place(off int64, at time.Time, join bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.pending) > maxPending {
		return
	}
	word := "place"
	if join {
		word = "join"
	}
	x.lineLocked(word, off)
	x.endLocked(at, "")
}

func (x *index) gap(g *gap) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lineLocked("gap", g.from, g.to)
	x.endLocked(g.since, g.err.Error())
}

func (x *index) doubt(from, to int64, at time.Time, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lineLocked("doubt", from, to)
	x.endLocked(at, err.Error())
}

// write writes what is pending, and makes the file before.
func (x *index) write() (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.broken || len(x.pending) == 0 {
		return nil
	}
	n := 0
	if x.file == nil {
		x.file, err = x.create(x.at)
	}
	if err == nil {
		n, err = x.file.Write(x.pending)
	}
	x.pending = x.pending[:copy(x.pending, x.pending[n:])]
	x.broken = err != nil
	return err
}

// sync forces to the disk what has been written.
func (x *index) sync() error {
	x.mu.Lock()
	f := x.file
	x.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Sync()
}

// close ends the index. Precondition: nobody else uses it any more.
func (x *index) close(end int64, at time.Time, reason error, sync bool) (err error) {
	if !x.begun {
		return nil // nothing was recorded, and nothing dropped
	}
	x.mu.Lock()
	x.broken = false
	if x.at.IsZero() {
		x.at = at
	}
	x.lineLocked("end", end)
	text := ""
	if reason != nil {
		text = reason.Error()
	}
	x.endLocked(at, text)
	x.mu.Unlock()
	err = x.write()
	if x.file == nil {
		return err
	}
	if sync && err == nil {
		err = x.file.Sync()
	}
	return errors.Join(err, x.file.Close())
}

// writeIndex writes what there is to say. A failure is told, and that is all.
func (r *Recording) writeIndex() {
	if r.index != nil {
		r.indexed(r.index.write())
	}
}

// indexed tells of an error of the index.
func (r *Recording) indexed(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	r.state.indexErr = err
	r.mu.Unlock()
	r.emit(Event{Kind: IndexFailed, From: r.end.Load(), To: r.end.Load(), At: time.Now(), Err: err})
}
