// Package hub carries one stream from one source to many sinks, each at its own pace, none of which can hurt another.
//
//	publisher ─SpliceRead→ chunk k ──Tee→ viewer's own pipe ─SpliceWrite→ sink
//	                          │
//	                          └ ring of the chunks that somebody still needs
//
// A chunk is one pipe that holds a run of the stream: whatever had arrived, up to the pipe's capacity, so that under
// load chunks grow by themselves and the work per byte falls. Each viewer holds a claim on every chunk that it has not
// taken yet; a chunk without claims is gone. Whoever holds the last claim takes the chunk's pipe itself; the others tee
// it.
//
// # In step and behind
//
// A viewer in step is parked: it costs its sink and nothing else. The publisher's goroutine serves the parked viewers
// itself, one after the other, without waiting (the fast loop). A viewer whose sink would block gets a goroutine, and a
// pipe for its remainder, until it is in step again.
//
// The ring's newest chunks are kernel pipes. Older ones, which only slow viewers still need, are moved to pages in this
// process's memory, densely, so that the ring's bound is in bytes of stream and the kernel's pipe budget stays small.
// Where no kernel pipe is to be had, chunks are pages from the start; nothing else changes.
//
// # Slow viewers
//
// With [Block] the publisher waits for the slowest viewer. With [Disconnect] a viewer that falls off the ring is cut,
// and nobody waits for it. A recording blocks in either case: it must have everything.
//
// # Who should use something else
//
// Messages rather than bytes, or sinks that want different bytes: this moves one run of bytes to everybody.
package hub
