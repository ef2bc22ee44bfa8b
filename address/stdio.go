package address

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
)

// openStdio opens "-". Standard input stays open, as others may have it; standard output is closed, which is when some
// file systems tell what went wrong.
func openStdio(role Role, c *Config) (*End, error) {
	in, out := cmp.Or(c.Stdin, os.Stdin), cmp.Or(c.Stdout, os.Stdout)
	how := new(stdioEnding)
	if role.writes() {
		how.out = out
		if err := usable(out, true); err != nil {
			return nil, &partError{"standard output", err}
		}
	}
	e := endOf(in, out, how)
	if role.reads() {
		if err := usable(in, false); err != nil {
			return nil, &partError{"standard input", err}
		}
		if err := e.begins(in, c); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// begins finds where a file that somebody else opened stands, moves it on, and says how much there is.
func (e *End) begins(f *os.File, c *Config) error {
	e.Skip = c.Offset
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return nil // its bytes are dropped
	}
	at, err := f.Seek(0, 1)
	if err != nil {
		return nil
	}
	if c.Offset > 0 && at+c.Offset > fi.Size() {
		return &partError{fmt.Sprintf("offset %d", at+c.Offset), fmt.Errorf("the file has %d bytes", fi.Size())}
	}
	if _, err := f.Seek(c.Offset, 1); err != nil {
		return nil
	}
	e.Skip = 0
	e.Size = max(fi.Size()-at-c.Offset, 0)
	return nil
}

// openDescriptor opens fd:N. The first three are what everybody else in the process has, too.
func openDescriptor(n int, role Role, c *Config) (*End, error) {
	f := []*os.File{cmp.Or(c.Stdin, os.Stdin), cmp.Or(c.Stdout, os.Stdout), os.Stderr, nil}[min(n, 3)]
	if f == nil {
		f = os.NewFile(uintptr(n), "fd:"+strconv.Itoa(n))
	}
	for _, writes := range []bool{false, true} {
		if writes && !role.writes() || !writes && !role.reads() {
			continue
		}
		if err := usable(f, writes); err != nil {
			return nil, err
		}
	}
	how := &stdioEnding{stays: n == 2}
	if role.writes() {
		how.out = f
	}
	if n > 2 {
		how.in = f
	}
	e := endOf(f, f, how)
	if role.reads() {
		if err := e.begins(f, c); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// stdioEnding ends what somebody else opened.
type stdioEnding struct {
	in, out *os.File // to be closed; nil is not
	stays   bool     // it is standard error
}

func (s *stdioEnding) finish(context.Context) error {
	return firstOf(s.closeWrite(), s.closeRead())
}

// giveUp leaves closing to the end of the process, which may have something to say on its standard output.
func (s *stdioEnding) giveUp() error {
	if s.in != nil {
		return s.closeRead()
	}
	return nil
}

func (s *stdioEnding) closeRead() error {
	if s.in == nil {
		return nil
	}
	return (&fileEnding{file: s.in}).close()
}

// closeWrite shuts a socket down, and closes everything else.
func (s *stdioEnding) closeWrite() error {
	if s.out == nil || s.stays {
		return nil
	}
	if shutdownWrite(s.out) {
		return nil
	}
	return (&fileEnding{file: s.out}).close()
}
