package penstock

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"reflect"
	"syscall"
	"time"
)

// What a source is wrapped in, and how to get at the descriptor under it without losing a byte.

// unwrap takes off what is known to add nothing to the bytes: an io.LimitedReader becomes a limit, which is told in the
// end how much was taken; a bufio.Reader its remainder, and then what is under it.
func (c *carriage) unwrap() {
	for {
		switch r := c.src.(type) {
		case *io.LimitedReader:
			if c.left < 0 || r.N < c.left {
				c.left = max(r.N, 0)
			}
			c.settle = append(c.settle, func(n int64) { r.N -= n })
			c.src = r.R
		case *bufio.Reader:
			if under := underBufio(r); under != nil {
				c.ahead, c.src = r, under
			}
			return
		default:
			return
		}
	}
}

// wrapUp puts the wrappers back: a Read that is left behind counts for them, too, so it has to go through them.
func (c *carriage) wrapUp() {
	c.src, c.left, c.ahead, c.settle = c.t.src, c.t.limit, nil, nil
}

// aheadReader is what a [bufio.Reader] has of it.
type aheadReader interface {
	io.Reader
	Buffered() int
}

// underBufio returns the connection or file that a bufio.Reader reads from, nil if it is neither. The bufio.Reader
// itself goes on where the transfer ends: its buffer is empty then.
//
// It does not say what it reads from, but its WriteTo gives that away, to a writer that says it can ReadFrom. That is
// done only where the type is one whose own WriteTo does likewise, and moves nothing by itself.
func underBufio(b *bufio.Reader) io.Reader {
	switch typeUnder(b) {
	case reflect.TypeFor[*net.TCPConn](), reflect.TypeFor[*net.UnixConn](), reflect.TypeFor[*os.File]():
	default:
		return nil
	}
	twin := *b // shares what is under it, and leaves the caller's as it is
	if _, err := twin.Discard(twin.Buffered()); err != nil {
		return nil
	}
	if _, err := twin.Read(nil); err != nil {
		return nil // met behind what it holds: it alone can tell
	}
	var g glimpse
	_, _ = twin.WriteTo(&g) // moves nothing
	c, ok := g.seen.(descriptorReader)
	if !ok {
		return nil
	}
	return &under{c}
}

// typeUnder returns the type of what a bufio.Reader reads from, nil if this Go's bufio.Reader does not tell.
func typeUnder(b *bufio.Reader) reflect.Type {
	rd := reflect.ValueOf(b).Elem().FieldByName("rd")
	if !rd.IsValid() || rd.Kind() != reflect.Interface || rd.IsNil() {
		return nil
	}
	return rd.Elem().Type()
}

// glimpse is a writer that wants to be told what there is to read from, and reads nothing.
type glimpse struct{ seen io.Reader }

func (g *glimpse) Write(b []byte) (int, error) { return 0, io.ErrShortWrite }

func (g *glimpse) ReadFrom(r io.Reader) (int64, error) {
	g.seen = r
	return 0, nil
}

// descriptorReader is a reader with a descriptor.
type descriptorReader interface {
	io.Reader
	syscall.Conn
	SetReadDeadline(time.Time) error
}

// under is what was found under a wrapper: all that it reads comes from its descriptor.
type under struct{ descriptorReader }

// Bare returns the TCP or Unix connection under wrappers of it, so that it can be spliced: those that offer NetConn()
// are taken off one by one. The caller vouches that their Read and Write add nothing to the bytes and hold none back:
// that they count, say, or set deadlines; nobody else can know. Of TLS, whose NetConn is the ciphertext, and of whatever
// is no such connection underneath, it returns c itself, which is read and written then.
func Bare(c net.Conn) net.Conn {
	for at, depth := c, 0; ; depth++ {
		switch conn := at.(type) {
		case *net.TCPConn, *net.UnixConn:
			return conn
		case interface{ HandshakeContext(context.Context) error }: // TLS, also where it is embedded
			return c
		case interface{ NetConn() net.Conn }:
			if at = conn.NetConn(); depth == maxWrappers {
				return c
			}
		case syscall.Conn:
			return &bareConn{at, conn}
		default:
			return c
		}
	}
}

// maxWrappers is what no connection is in: one that offers itself would be taken off for ever.
const maxWrappers = 64

// bareConn is a connection of a type unknown, with a descriptor that carries its bytes as they are.
type bareConn struct {
	net.Conn
	fd syscall.Conn
}

func (c *bareConn) SyscallConn() (syscall.RawConn, error) { return c.fd.SyscallConn() }
