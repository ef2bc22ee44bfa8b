//go:build !linux

package penstock

import "io"

// edge is a descriptor, of which there is no use without splice: the standard library's Read and Write do all there is.
type edge struct{ datagram bool }

func (*edge) of(any)       {}
func (*edge) atEnd() bool  { return false }
func (*edge) unblock(bool) {}
func (*edge) close()       {}
func (*edge) isFIFO() bool { return false }
func (*edge) queued() int  { return 0 }
func (*edge) known() bool  { return false }
func (*edge) interrupt()   {}
func (*edge) resume()      {}

// steps is what a header needs.
type steps struct{ more bool }

func (c *carriage) letGo()                      { c.letGoBuffer() }
func (c *carriage) inPipe() bool                { return false }
func (c *carriage) inHand() ([]byte, error)     { return c.bytes, nil }
func (c *carriage) awaitDescriptor() error      { return nil }
func (c *carriage) corks() bool                 { return false }
func (c *carriage) deliverPipe()                {}
func (c *carriage) byDescriptor() (bool, error) { return false, nil }

func (c *carriage) takeDescriptor(int) (int, error)                  { return 0, io.ErrUnexpectedEOF }
func (c *carriage) writeDescriptor(o *outlet, b []byte) (int, error) { return 0, io.ErrShortWrite }
