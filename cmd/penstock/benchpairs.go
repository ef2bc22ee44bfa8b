package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// benchPair is a source and what it is moved to.
type benchPair struct {
	from, to string
	source   io.Reader
	sinks    []io.Writer
	files    []*os.File // those among them that are files: each turn begins at their beginning
}

func (p *benchPair) rewind() error {
	for _, f := range p.files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	return nil
}

// The pairs, one for each path at least.
var benchKinds = []struct {
	from string
	to   []string
}{
	{"TCP", []string{"TCP"}},
	{"Unix", []string{"Unix"}},
	{"pipe", []string{"pipe"}},
	{"file", []string{"TCP"}},
	{"TCP", []string{"file"}},
	{"file", []string{"file"}},
	{"pipe", []string{"pipe", "pipe"}},
}

// open makes the files and the pairs. What it has made when it fails is close's.
func (b *bench) open() error {
	if err := b.files.make(&b.benchFlags, b.say); err != nil {
		return fmt.Errorf("--dir %s: %w", b.dir, err)
	}
	for _, kind := range benchKinds {
		p := &benchPair{from: kind.from, to: kind.to[0]}
		if n := len(kind.to); n > 1 {
			p.to = fmt.Sprintf("%d %ss", n, p.to)
		}
		b.pairs = append(b.pairs, p)
		if err := b.openPair(p, kind.from, kind.to); err != nil {
			return fmt.Errorf("%s to %s: %w", p.from, p.to, err)
		}
	}
	_ = b.files.unlink() // where a file that is open cannot be, it is when it is closed
	return nil
}

func (b *bench) openPair(p *benchPair, from string, to []string) (err error) {
	if from == "file" {
		f, err := b.files.open(b.files.full)
		if err != nil {
			return err
		}
		p.source, p.files = f, append(p.files, f)
	} else {
		mine, theirs, err := connect(from)
		if err != nil {
			return err
		}
		p.source = mine
		f, err := b.files.open(b.files.full)
		if err != nil {
			return errors.Join(err, theirs.Close())
		}
		b.peers = append(b.peers, benchPeer{end: theirs, feed: f})
	}
	for _, kind := range to {
		if kind == "file" {
			f, err := b.files.open(b.files.over)
			if err != nil {
				return err
			}
			p.sinks, p.files = append(p.sinks, f), append(p.files, f)
			continue
		}
		theirs, mine, err := connect(kind)
		if err != nil {
			return err
		}
		p.sinks = append(p.sinks, mine)
		b.peers = append(b.peers, benchPeer{end: theirs})
	}
	return nil
}

// connect makes the two ends of a stream that goes from w to r.
func connect(kind string) (r, w io.ReadWriteCloser, err error) {
	switch kind {
	case "pipe":
		return os.Pipe()
	case "Unix":
		return connectSockets("unix", socketName())
	default:
		return connectSockets("tcp", "127.0.0.1:0")
	}
}

// socketName is a name that nobody else has, and that leaves no file behind where names need none.
func socketName() string {
	name := "penstock-bench-" + rand.Text()
	if runtime.GOOS == "linux" {
		return "@" + name
	}
	return filepath.Join(os.TempDir(), name)
}

func connectSockets(network, address string) (r, w net.Conn, err error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if w, err = net.Dial(network, l.Addr().String()); err != nil {
		return nil, nil, err
	}
	if r, err = l.Accept(); err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	return r, w, nil
}

// closeEnds ends what waits at the ends of the pairs. It may be called again, and while they are in use.
func (b *bench) closeEnds() {
	for _, p := range b.pairs {
		if c, ok := p.source.(io.Closer); ok {
			_ = c.Close() // nothing of it is wanted any more
		}
		for _, w := range p.sinks {
			_ = w.(io.Closer).Close()
		}
	}
}

// close gives back what open has opened.
func (b *bench) close() {
	b.closeEnds()
	b.closePeers()
	b.files.close()
}
