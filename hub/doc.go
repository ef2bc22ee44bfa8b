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
// itself, one after the other, without waiting (the fast loop; many viewers are split between several). A viewer whose
// sink would block gets a goroutine, and a pipe for its remainder, until it is in step again.
//
// The ring's newest chunks are kernel pipes. Older ones, which only slow viewers still need, are moved to pages in this
// process's memory, densely, so that the ring's bound is in bytes of stream and the kernel's pipe budget stays small.
// Where no kernel pipe is to be had, chunks are pages from the start; nothing else changes.
//
// # Slow viewers
//
// What becomes of a viewer that does not keep up is its [Policy]: the publisher waits for it, or it is cut, or it skips to
// the newest join point, or it catches up from the recording and comes back into step, with every byte exactly once. How
// far behind it may be is the ring's bound, and its [Limits]. A recording blocks in any case: it must have everything.
// Who is slow, by how many bytes and seconds and since when, is in [Hub.Stats] at any time.
//
// # Where viewers begin
//
// In a stream of mere bytes anywhere. Of one for which there is a [Scanner] the hub keeps what came since the newest join
// point, and viewers begin there at once; or, with SinkConfig.Ago, further back in the recording.
//
// # Who should use something else
//
// Messages rather than bytes, or sinks that want different bytes: this moves one run of bytes to everybody.
package hub
