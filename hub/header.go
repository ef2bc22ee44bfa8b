package hub

import "bytes"

// What goes in front of a viewer's bytes: its owner's header, once, and what the stream itself wants to be begun with
// (tables, say), wherever the viewer begins or goes on and has had other ones before.

// wantsHeader tells whether something is to go in front of c.
func (v *Viewer) wantsHeader(c *chunk) bool {
	return !v.started && v.cfg.Header != nil || v.wantsTables(c)
}

// wantsTables tells whether v begins with c, or has skipped to it, and the tables are not those that it has. A recording
// has everything that they were made of.
func (v *Viewer) wantsTables(c *chunk) bool {
	return c.join && len(c.header) > 0 && v.loaded == 0 && v.landed && !v.cfg.MustHave && !bytes.Equal(v.tables, c.header)
}

// writeHeader writes what belongs in front of c to the viewer's own pipe, which is empty and takes it whole.
func (v *Viewer) writeHeader(c *chunk) error {
	if v.wantsTables(c) {
		tables := c.header
		if err := v.loadHeader(tables); err != nil {
			return err
		}
		v.tables = tables
		return nil
	}
	if v.wantsHeader(c) {
		return v.loadHeader(nil)
	}
	return nil
}

// loadHeader writes the owner's header, unless it was written, and the stream's tables.
func (v *Viewer) loadHeader(tables []byte) error {
	var b []byte
	if !v.started && v.cfg.Header != nil {
		b = v.cfg.Header()
	}
	v.started = true
	if len(tables) > 0 {
		b = append(b[:len(b):len(b)], tables...)
	}
	if len(b) == 0 {
		return nil
	}
	if v.own == nil {
		v.own = v.h.arena.NewPipe(0)
	}
	n, err := v.own.Write(b)
	v.n += n
	v.head += n
	return err
}
