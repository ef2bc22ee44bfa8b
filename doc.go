// Package penstock moves byte streams through pipes of page buffers: from any source to any number of sinks, without
// copying where that can be avoided, without losing a byte where something fails, and always saying which way the bytes
// went and which side failed.
//
//	            SpliceRead              Tee                SpliceWrite
//	Source ────────────────▶ Conduit ────────▶ Conduit ────────────────▶ Sink
//	socket, file,            Pipe or            the same pages,          socket, file,
//	io.Reader                KernelPipe         one reference more       io.Writer
//
// # The pipe is the buffer
//
// A pipe is a circular list of reference-counted page buffers. Splicing moves references in and out of it; teeing
// duplicates them. There are two backings with one set of verbs, and [Conduit] stands for either:
//
//   - [Pipe] lives in this process's memory and runs everywhere.
//   - [KernelPipe] is pipe(2) on Linux: the data never enters the process.
//
// [SourceOf] and [SinkOf] make a [Source] and a [Sink] of whatever can be read and written, once per connection, and
// choose the fastest way that the two sides allow. What was chosen, and why, is told by [Sink.Path] and [Source.Path].
//
// # Ownership
//
// Whoever opens a pipe closes it. A [Pool] lends kernel pipes and takes them back; it is the bound on what the process
// holds of the user's pipe budget. Pages are reference-counted and never seen by callers: nobody can write to a page
// that somebody else can read.
//
// # Who should use something else
//
// One copy from one reader to one writer, with nothing to be recovered when it fails, is [io.Copy]; it splices too.
package penstock
