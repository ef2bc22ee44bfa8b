package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/penstock-io/penstock/relay"
	"github.com/penstock-io/penstock/relay/capture"
)

// fileOf reads the name behind a scheme.
func fileOf(text, scheme, others string) (name, error) {
	if err := noOthers(others); err != nil {
		return nil, err
	}
	return parseName(text[len(scheme):])
}

// toFile makes a mirror of raw bytes.
func toFile(m *relay.Mirror, text, others string) error {
	n, err := fileOf(text, "file:", others)
	if err != nil {
		return err
	}
	if m.Direction == relay.BothWays && !n.has('d') {
		return errors.New("both directions in one file, and nobody could tell them apart: want %d in its name, or a capture")
	}
	m.Open = func(_ context.Context, c relay.Info, d relay.Direction) (io.WriteCloser, error) {
		f, err := create(n.of(c, d))
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	return nil
}

// mostNamesakes is how many files with the same name there may be.
const mostNamesakes = 1000

// create makes a file, and the folders that it is in. What is there is not written to, unless it is no file.
func create(path string) (*os.File, error) {
	for i := 0; i <= mostNamesakes; i++ {
		at := path
		if i > 0 {
			at = fmt.Sprintf("%s.%d", path, i)
		}
		f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if errors.Is(err, fs.ErrNotExist) {
			if err := os.MkdirAll(filepath.Dir(at), 0o750); err != nil {
				return nil, err
			}
			f, err = os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		}
		if !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return nil, err
			}
			return f, nil
		}
		if st, serr := os.Stat(at); serr == nil && !st.Mode().IsRegular() && !st.IsDir() {
			return os.OpenFile(at, os.O_WRONLY|nonBlock, 0)
		}
	}
	return nil, fmt.Errorf("%s: there are %d of this name; %%t in it would make them differ", path, mostNamesakes)
}

// toNull makes a mirror that nobody gets: it only counts.
func toNull(_ *relay.Mirror, text, others string) error {
	if text != "null:" {
		return errors.New("null: has nothing behind it")
	}
	return noOthers(others)
}

// captures are the files of connections that are there, each of which gets both directions.
type captures struct {
	name name

	mu  sync.Mutex // guards what follows
	all map[relay.Info]*captured
}

// captured is one file.
type captured struct {
	open func() (capturedFile, error) // once

	mu     sync.Mutex    // guards what follows
	sides  int           // that have been opened, and not closed
	writer capturedFile  // what open has returned; zero before
	ending *relay.Ending // nil before
}

// capturedFile is a file, and what writes it.
type capturedFile struct {
	*capture.Writer
	file *os.File
}

func toCapture(m *relay.Mirror, text, others string) error {
	n, err := fileOf(text, "capture:", others)
	if err != nil {
		return err
	}
	if n.has('d') {
		return errors.New("%d: a capture has both directions")
	}
	cs := &captures{name: n, all: make(map[relay.Info]*captured)}
	m.Open, m.Ended = cs.side, cs.end
	return nil
}

// side opens one direction of a connection's file, which the first of them makes. That may take longer than the
// connection lasts: then all that is left to be written is the end.
func (cs *captures) side(ctx context.Context, c relay.Info, d relay.Direction) (io.WriteCloser, error) {
	one, err := cs.of(ctx, c)
	if err != nil {
		return nil, err
	}
	w, err := one.open()
	if err != nil {
		return nil, err
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	first := one.writer == capturedFile{}
	one.writer = w
	switch {
	case one.ending == nil:
	case first:
		return nil, errors.Join(os.ErrClosed, w.End(*one.ending), w.Close())
	default:
		return nil, os.ErrClosed
	}
	one.sides++
	return &bared{w.Side(d), func() error { return cs.close(c, one) }}, nil
}

// of is what there is of a connection's file. A connection that is over has none.
func (cs *captures) of(ctx context.Context, c relay.Info) (*captured, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	one := cs.all[c]
	if one == nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		one = &captured{open: sync.OnceValues(func() (capturedFile, error) { return cs.create(c) })}
		cs.all[c] = one
	}
	return one, nil
}

// close closes one side, and with the last of them the file.
func (cs *captures) close(c relay.Info, one *captured) error {
	one.mu.Lock()
	defer one.mu.Unlock()
	switch one.sides--; {
	case one.sides > 0:
		return nil
	case one.ending != nil:
		return one.writer.Close()
	}
	// It is given up on before its end, since a Write does not return. Close of the Writer would wait for that, which
	// Close of the file ends.
	cs.forget(c)
	return one.writer.file.Close()
}

func (cs *captures) forget(c relay.Info) *captured {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	one := cs.all[c]
	delete(cs.all, c)
	return one
}

// headerPatience is how long a FIFO that is full may take to have room for a header.
const headerPatience = 5 * time.Second

func (cs *captures) create(c relay.Info) (capturedFile, error) {
	f, err := create(cs.name.of(c, relay.BothWays))
	if err != nil {
		return capturedFile{}, err
	}
	_ = f.SetWriteDeadline(time.Now().Add(headerPatience)) // files that are no FIFOs know no deadline
	w, err := capture.NewWriter(f, c)
	_ = f.SetWriteDeadline(time.Time{})
	return capturedFile{w, f}, err
}

// end writes how a connection has ended. A file that cannot take it is one that is cut short: that is told to whoever
// reads it, and what it lacks is told by the relay.
func (cs *captures) end(c relay.Info, e relay.Ending) {
	one := cs.forget(c)
	if one == nil {
		return
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.ending = &e; one.writer != (capturedFile{}) {
		_ = one.writer.End(e)
	}
}
