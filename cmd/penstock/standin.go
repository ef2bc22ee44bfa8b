package main

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/penstock-io/penstock/address"
)

// stand is an end of the kind that an address has, of which nothing is read and to which nothing is written.
type stand struct {
	reader io.Reader
	writer io.Writer
	what   string // what there is to know of it besides
	close  func()
}

// through is an end whose bytes this process makes or looks at: it has no descriptor to be spliced.
type through struct{}

func (through) Read([]byte) (int, error)    { return 0, io.EOF }
func (through) Write(b []byte) (int, error) { return len(b), nil }

// standIn makes the end that stands for an address in a role.
func standIn(a address.Address, role address.Role) (*stand, error) {
	switch a.Scheme {
	case address.Stdio:
		f := os.Stdin
		if role == address.Destination {
			f = os.Stdout
		}
		return &stand{reader: f, writer: f, close: func() {}}, nil
	case address.FD:
		f := os.NewFile(uintptr(a.FD), a.String())
		if _, err := f.Stat(); err != nil {
			return nil, errors.New("no such descriptor")
		}
		return &stand{reader: f, writer: f, close: func() {}}, nil
	case address.File:
		return fileStand(a, role)
	case address.Null, address.Zero:
		return deviceStand(a.Scheme, role)
	case address.FIFO, address.Exec:
		return pipeStand(role)
	case address.TCP, address.TCPListen:
		return socketStand("tcp", "127.0.0.1:0")
	case address.Unix, address.UnixListen:
		dir, err := os.MkdirTemp("", "penstock-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		return socketStand("unix", filepath.Join(dir, "s"))
	default:
		return &stand{reader: through{}, writer: through{}, what: throughWhat[a.Scheme], close: func() {}}, nil
	}
}

// throughWhat says why the bytes of some schemes pass through this process.
var throughWhat = map[address.Scheme]string{
	address.TLS: "TLS encrypts in this process", address.TLSListen: "TLS encrypts in this process",
	address.UDP: "datagrams are cut and gathered in this process", address.UDPListen: "datagrams have ends that a splice would lose",
	address.HTTP: "HTTP frames its bodies in this process", address.HTTPS: "HTTP frames its bodies in this process",
	address.Random: "they are made in this process",
}

// fileStand is the file itself if it is there, and else one without a name in its place.
func fileStand(a address.Address, role address.Role) (*stand, error) {
	flags := os.O_RDONLY
	if role == address.Destination {
		flags = os.O_WRONLY
		if a.Options.Append {
			flags |= os.O_APPEND
		}
	}
	st, err := os.Stat(a.Path)
	if err == nil && st.Mode()&os.ModeNamedPipe != 0 {
		return pipeStand(role)
	}
	if err == nil && st.IsDir() {
		return nil, errors.New("is a directory")
	}
	what := ""
	if a.Options.Direct {
		return &stand{reader: through{}, writer: through{}, what: "O_DIRECT wants a buffer that is aligned", close: func() {}}, nil
	}
	var f *os.File
	switch {
	case err == nil:
		f, err = os.OpenFile(a.Path, flags, 0)
	case errors.Is(err, fs.ErrNotExist) && role == address.Destination:
		what = "the file is not there yet"
		if f, err = os.CreateTemp(filepath.Dir(a.Path), ".penstock-"); err == nil {
			err = os.Remove(f.Name())
		}
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, err
	}
	return &stand{reader: f, writer: f, what: what, close: func() { f.Close() }}, nil
}

func deviceStand(s address.Scheme, role address.Role) (*stand, error) {
	name := "/dev/zero"
	if s == address.Null {
		name = os.DevNull
	}
	flags := os.O_RDONLY
	if role == address.Destination {
		flags = os.O_WRONLY
	}
	f, err := os.OpenFile(name, flags, 0)
	if err != nil { // a system without it
		return &stand{reader: through{}, writer: through{}, close: func() {}}, nil
	}
	return &stand{reader: f, writer: f, close: func() { f.Close() }}, nil
}

func pipeStand(role address.Role) (*stand, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &stand{reader: r, writer: w, close: func() { r.Close(); w.Close() }}
	if role == address.Source {
		s.writer = nil
	} else {
		s.reader = nil
	}
	return s, nil
}

// socketStand is one end of a connection of this process with itself.
func socketStand(network, where string) (*stand, error) {
	l, err := net.Listen(network, where)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	near, err := net.Dial(network, l.Addr().String())
	if err != nil {
		return nil, err
	}
	far, err := l.Accept()
	if err != nil {
		near.Close()
		return nil, err
	}
	return &stand{reader: near, writer: near, close: func() { near.Close(); far.Close() }}, nil
}
