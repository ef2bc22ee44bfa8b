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
	open func() (*capture.Writer, error) // once

	mu    sync.Mutex // guards what follows
	sides int        // that have been opened, and not closed
	ended bool
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

// side opens one direction of a connection's file, which the first of them makes.
func (cs *captures) side(_ context.Context, c relay.Info, d relay.Direction) (io.WriteCloser, error) {
	cs.mu.Lock()
	one := cs.all[c]
	if one == nil {
		one = &captured{open: sync.OnceValues(func() (*capture.Writer, error) { return cs.create(c) })}
		cs.all[c] = one
	}
	cs.mu.Unlock()
	w, err := one.open()
	if err != nil {
		return nil, err
	}
	one.mu.Lock()
	one.sides++
	one.mu.Unlock()
	return &bared{w.Side(d), func() error {
		one.mu.Lock()
		defer one.mu.Unlock()
		if one.sides--; one.sides > 0 || !one.ended {
			return nil
		}
		return w.Close()
	}}, nil
}

func (cs *captures) create(c relay.Info) (*capture.Writer, error) {
	f, err := create(cs.name.of(c, relay.BothWays))
	if err != nil {
		return nil, err
	}
	return capture.NewWriter(f, c)
}

// end writes how a connection has ended. A file that cannot take it is one that is cut short: that is told to whoever
// reads it, and what it lacks is told by the relay.
func (cs *captures) end(c relay.Info, e relay.Ending) {
	cs.mu.Lock()
	one := cs.all[c]
	delete(cs.all, c)
	cs.mu.Unlock()
	if one == nil {
		return
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	one.ended = true
	if w, err := one.open(); err == nil {
		_ = w.End(e)
	}
}
