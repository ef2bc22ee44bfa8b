package penstock

import (
	"fmt"

	"github.com/penstock-io/penstock/internal/kernel"
)

// What Explain asks the kernel, of the very descriptors that the bytes would go through. The calls are made so that
// there is nothing to move; a refusal is looked for before that is seen. (Linux 6.18: fs/splice.c, fs/read_write.c)

// tryRefusals splices a pipe, empty as it is, to each sink: EAGAIN is the answer of one that takes splice. The pipe is
// none of the pool's, which may have none, and need not.
func (c *carriage) tryRefusals() {
	r, w, _, err := kernel.Pipe(0)
	if err != nil {
		return // Copy would hardly find out more
	}
	defer kernel.Close(r)
	defer kernel.Close(w)
	for i := range c.outs {
		e := &c.outs[i].edge
		if !e.known() || e.refused != "" {
			continue
		}
		_ = e.raw.Control(func(fd uintptr) { // closed: its use says so
			_, err := kernel.Splice(int(fd), r, 1)
			if s, ok := c.sink.(*fdSink); e.refuse(err) && ok {
				s.refuses = true
			}
		})
	}
}

// foreseeRelay notes the way between descriptors, or what else is read and written.
func (c *carriage) foreseeRelay() {
	f := fileRange{file: &c.in}
	switch c.descriptorWay(&f) {
	case wayFIFO:
		c.t.now.Store(&way{path: PathSplice, from: c.in.what, to: c.outs[0].edge.what})
		return
	case wayFile:
		if w := c.fileWay(&f); w != nil && !c.refusesFile(&f) {
			c.t.now.Store(w)
			return
		}
	}
	if !c.in.known() {
		c.t.now.Store(wayPlain)
		return
	}
	if c.bulk, c.n = true, largeChunk; !c.load() { // what it loads goes back when the carriage is closed
		c.nowBy(PathReadWrite)
		return
	}
	c.nowBy(c.splicePath())
	if c.in.isSocket() {
		w := *c.t.now.Load()
		w.but = fmt.Sprintf("messages of less than %d bytes are read and written", bulkChunk)
		c.t.now.Store(&w)
	}
}

// refusesFile tells whether the kernel refuses to send a file's range, of which it is asked for nothing.
func (c *carriage) refusesFile(f *fileRange) (refused bool) {
	_ = c.outs[0].edge.raw.Control(func(fd uintptr) { // closed: its use says so
		_ = f.file.raw.Control(func(file uintptr) {
			_, err := f.call(int(fd), int(file), 0)
			refused = err != nil && (refusal(err) || elsewhere(err))
		})
	})
	return refused
}

// foreseeOutlet is the way to one of several sinks, of which w is the whole's.
func (c *carriage) foreseeOutlet(o *outlet, w *way) *way {
	own := *w
	if c.in.known() {
		own.to = o.edge.what
		if own.to == "" {
			own.to = "a plain writer"
		}
	}
	switch {
	case w.path != PathTeeSplice || o.edge.known() && o.edge.refused == "":
	case o.edge.known():
		own.path, own.but = PathReadWrite, o.edge.refused
	default:
		own.path, own.but = PathReadWrite, "no descriptor"
	}
	return &own
}
