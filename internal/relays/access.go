package relays

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"github.com/penstock-io/penstock/relay"
)

// Output is where an access log can go.
type Output io.Writer

// The bounds of the access log.
const (
	accessQueue    = 8192             // lines that wait to be written; beyond it they are left out
	accessPatience = 2 * time.Second  // at the end, for what has not been written
	accessQuiet    = 10 * time.Second // between two complaints
)

// accessLog writes a line for each connection that is over. It never holds one up: what it cannot write is counted, and
// complained of.
type accessLog struct {
	log      *slog.Logger
	standard Output // what is called "-"
	lines    chan line
	changed  chan struct{} // told when there are retired ones
	written  chan struct{} // closed when all has been
	lost     atomic.Int64

	mu      sync.Mutex // guards what follows, and is never held while something is written
	output  Output     // nil is nobody
	config  Access
	retired []io.Closer // outputs that get no lines but those that wait
	closed  bool
}

// line is one that waits, and where it is to go.
type line struct {
	to   Output
	text []byte
}

func newAccessLog(log *slog.Logger, standard Output) *accessLog {
	a := &accessLog{
		log: log, standard: standard, lines: make(chan line, accessQueue),
		changed: make(chan struct{}, 1), written: make(chan struct{}),
	}
	go a.write()
	return a
}

// open opens what the Config says anew, so that a file that has been moved away is followed by another.
func (a *accessLog) open(c Access) (Output, error) {
	switch c.File {
	case "":
		return nil, nil
	case "-":
		return a.standard, nil
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE|nonBlock, 0o640)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return nil, fmt.Errorf("%s: is a FIFO that nobody reads", c.File)
	case err != nil:
		return nil, err
	}
	return f, nil
}

// use has lines go there from now on. It takes ownership of what open has returned.
func (a *accessLog) use(o Output, c Access) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retireLocked()
	a.output, a.config = o, c
}

// retireLocked has the output closed when it has got what waits.
func (a *accessLog) retireLocked() {
	if f, ok := a.output.(*os.File); ok && a.output != a.standard {
		a.retired = append(a.retired, f)
		select {
		case a.changed <- struct{}{}:
		default:
		}
	}
}

// add is a relay.Config's Access.
func (a *accessLog) add(r relay.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.output == nil || a.closed {
		return
	}
	now := time.Now()
	var text []byte
	if a.config.JSON {
		var err error
		if text, err = json.Marshal(accessRecord{now, r}); err != nil {
			a.log.Error("access log", "error", err)
			return
		}
	} else {
		text = append(now.AppendFormat(text, "2006-01-02T15:04:05.000Z07:00"), ' ')
		text = append(text, oneLine(r.Relay+" "+r.String())...)
	}
	select {
	case a.lines <- line{to: a.output, text: append(text, '\n')}:
	default:
		a.lost.Add(1)
	}
}

// oneLine is for errors that are several, and for peers that would like to write lines of their own, or to have a
// terminal do something.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "\n", "; "))
}

// accessRecord is a line in JSON.
type accessRecord struct {
	Time time.Time `json:"time"` // when it was over
	relay.Record
}

// write writes what waits, until nothing more can come: as much with one call as there is for one place.
func (a *accessLog) write() {
	defer close(a.written)
	const most = 64 << 10
	w := accessWriter{accessLog: a}
	var retired []io.Closer
	before := -1 // lines until those get nothing more; negative is that there are none
	for {
		if before == 0 {
			w.flush()
			a.closeAll(retired)
			retired, before = nil, -1
		}
		select {
		case l, more := <-a.lines:
			if !more {
				w.flush()
				a.closeAll(append(retired, a.takeRetired()...))
				return
			}
			if l.to != w.to || len(w.text) > most {
				w.flush()
			}
			w.to, w.text, w.lines = l.to, append(w.text, l.text...), w.lines+1
			if len(a.lines) == 0 {
				w.flush()
			}
			if before > 0 {
				before--
			}
		case <-a.changed:
			retired = append(retired, a.takeRetired()...)
			before = len(a.lines) // all that is for them is among these: who adds more has another output by now
		}
	}
}

// accessWriter has what is to be written with the next call.
type accessWriter struct {
	*accessLog
	to    Output
	text  []byte
	lines int64

	told int64     // how many lines are said to be lost
	at   time.Time // when that was
}

func (w *accessWriter) flush() {
	if w.lines == 0 {
		return
	}
	_, err := w.to.Write(w.text)
	if err != nil {
		w.lost.Add(w.lines)
	}
	if n := w.lost.Load(); n > w.told && time.Since(w.at) > accessQuiet {
		w.log.Warn("lines are missing from the access log", "lines", n, "error", err)
		w.told, w.at = n, time.Now()
	}
	w.text, w.lines = w.text[:0], 0
}

// takeRetired returns what is to be closed when it has got what waits.
func (a *accessLog) takeRetired() []io.Closer {
	a.mu.Lock()
	defer a.mu.Unlock()
	retired := a.retired
	a.retired = nil
	return retired
}

// closeAll closes what gets no more lines.
func (a *accessLog) closeAll(retired []io.Closer) {
	for _, c := range retired {
		if err := c.Close(); err != nil {
			a.log.Warn("access log", "error", err)
		}
	}
}

// close writes what waits, for a while, and adds no more.
func (a *accessLog) close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		a.retireLocked()
		close(a.lines)
	}
	a.mu.Unlock()
	select {
	case <-a.written:
	case <-time.After(accessPatience):
		a.log.Error("the access log takes nothing: its last lines are lost", "lines", len(a.lines))
	}
}
