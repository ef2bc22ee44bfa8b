package hub

import (
	"bytes"
	"fmt"
)

// What goes in front of a viewer's bytes: its owner's header, once, and what the stream itself wants to be begun with
// (tables, say), where the viewer begins, and where it goes on after a skip and has had other ones before.

// front returns what goes in front of what v has not had of c. A recording has everything that tables are made of.
func (v *Viewer) front(c *chunk) (b, tables []byte) {
	switch {
	case v.cfg.MustHave:
	case c.join && v.loaded == 0:
		tables = c.header
	case !v.started: // it begins where the archive says, and the ring has that
		tables = v.h.currentTables()
	}
	if !v.started {
		return v.withHeader(tables), tables
	}
	if v.landed && !bytes.Equal(tables, v.tables) {
		return tables, tables
	}
	return nil, nil
}

// withHeader returns the owner's header, with tables behind it.
func (v *Viewer) withHeader(tables []byte) []byte {
	if v.cfg.Header == nil {
		return tables
	}
	h := v.cfg.Header()
	return append(h[:len(h):len(h)], tables...)
}

// mostFront is how long what goes in front may be: any pipe takes it whole, and it is written without waiting.
const mostFront = smallChunk / 2

var errLongFront = fmt.Errorf("hub: what goes in front of the stream is longer than %d bytes", mostFront)

// write puts what goes in front into the viewer's own pipe, which is empty and takes it whole.
func (v *Viewer) write(b, tables []byte) error {
	v.started = true
	if len(tables) > 0 {
		v.tables = tables
	}
	if len(b) == 0 {
		return nil
	}
	if len(b) > mostFront {
		return errLongFront
	}
	if v.own == nil || v.own.Cap() < len(b) {
		v.dropOwn()
		v.own = v.h.arena.NewPipe(0)
	}
	n, err := v.own.Write(b)
	v.n += n
	v.head += n
	return err
}

// currentTables returns what a viewer that begins now is sent first.
func (h *Hub) currentTables() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tables
}
