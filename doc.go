// Package penstock moves byte streams through pipes of page buffers: from any source to any number of sinks, without
// copying where that can be avoided, without losing a byte where something fails, and always saying which way the bytes
// went and which side failed.
//
//	              Pipe                                       Pipe
//	         ┌──┬──┬──┬──┬──┐                           ┌──┬──┬──┬──┬──┐
//	source ─▶│  │  │█▒│██│██│── Splice moves buffers ──▶│  │  │  │  │██│─▶ sink
//	         └──┴──┴┼─┴┼─┴┼─┘   Tee duplicates them     └──┴──┴──┴──┴┼─┘
//	                │  │  └──────────────────┐   ┌───────────────────┘
//	                ▼  ▼                     ▼   ▼
//	             ┌────┬────┐                ┌─────┐   pages, with a count of who holds each: the pipe's own,
//	             │page│page│                │page │   lent or given by the caller, a file's with its read
//	             └────┴────┘                └─────┘   in flight, a window that is mapped to be looked at
//
// # Copy
//
// [Copy] is what most programs need: any reader to any writer by the fastest way there is, interruptible, with limits and
// timeouts on top of splice, and with nothing lost. What has left the source and not reached the sink when one of them
// fails is in the error, to be given to [Resume]. [CopyBoth] relays between two connections. Everything below is what
// they are made of.
//
// # The pipe is the buffer
//
// A pipe is a circular list of reference-counted page buffers. It is what sits between a source and a sink, and it outlives
// either: a transfer can be interrupted at any time, and what has left the source and has not reached the sink is still in
// the pipe. The idea is Larry McVoy's and Linus Torvalds's; so are the verbs:
//
//   - [Splice] moves data between a pipe and anything, other pipes included.
//   - [Tee] and [TeeMany] duplicate what a pipe holds into others, without consuming it.
//   - [Vmsplice] lends the caller's memory to a pipe, and says when it is free again; [KernelPipe.Vmsplice] lends or gives
//     a [Mapping] to the kernel, which does not say so.
//   - [Pipe.Pull], [Pipe.Push] and [Pipe.Unread] handle buffers one by one; [Page] is what a buffer may lie on.
//   - [Pipe.Peek] and [Pipe.Discard] show and consume, [Pipe.Reserve] and [Pipe.Commit] offer space and take it.
//   - Read and Write work on either end, and the other end need not know.
//
// There are two backings with one set of verbs, and [Conduit] stands for either: [Pipe] lives in this process's memory and
// runs everywhere; [KernelPipe] is pipe(2) on Linux, and the data never enters the process. [AdoptKernelPipe] makes one of
// a pipe that exists: stdin, a FIFO, a command's output.
//
// [SourceOf] and [SinkOf] make a [Source] and a [Sink] of whatever can be read and written, once per connection, and
// choose the fastest way that the two sides allow. What was chosen, and why, is told by [Sink.Path] and [Source.Path].
//
// # Who waits for what
//
// A call waits for the first byte and for room for it, and returns as soon as it has moved something; only Write, ReadFrom
// and WriteTo go on until all is done, and Peek until there are as many bytes as it was asked for. A deadline ends every
// wait for a pipe, and a context that of every call that takes one. With [NonBlock], and in TryRead and
// TryWrite, nothing waits: [ErrWouldBlock] comes with the side that it would have waited for. Readable and Writable are
// for select. So it is on both backings; a [KernelPipe] tells where it differs.
//
// # Errors
//
// Every error of a verb is an [*OpError], but for io.EOF at the end of a stream, or what CloseWithError put in its place,
// and what a [Page] itself says. It has the side that failed, and errors.Is sees through it to EPIPE, EAGAIN, EINVAL, os.ErrDeadlineExceeded, a context's cause, or whatever a source or
// a sink said.
//
// # Ownership
//
// Whoever opens a pipe or an arena closes it: pages are outside the garbage-collected heap, and only that gives them back. A
// [Pool] lends kernel pipes and takes them back; it is the bound on what the process holds of the user's pipe budget. A
// [Quota] bounds memory pipes. What is in a buffer is read-only for everybody but a sole owner, who gets it with
// [Buffer.Steal]; [Stability] says who else may write to it, and [Buffer.Stabilise] makes sure that nobody does.
//
// # Differences from the kernel
//
// The rules of a [Pipe] with pages of 4 KiB are those of pipe(2), splice(2), tee(2) and vmsplice(2) as Linux has them today,
// compared by test, but for these:
//
//	what                         Linux                  Pipe, and why
//	an own end that is closed    EBADF                  io.ErrClosedPipe, as there is no descriptor; a length of 0
//	                                                    or a pipe into itself is looked at first
//	a write cut short            the count              the count and ErrWouldBlock, as io.Writer wants it
//	the end of the stream        0                      io.EOF, as everywhere in Go
//	close of the read end        keeps what is held     releases it: nobody can read it, and lenders want it back
//	                                                    (so a ring may shrink then); a Read that waits ends
//	F_SETPIPE_SZ of 0            one page               EINVAL: Resize counts slots
//	vmsplice                     a slot for each page   one slot, however long: a buffer has any length
//	a page truncated away        counts as no bytes     ErrTruncated on both sides, until it is replaced: nothing is
//	                                                    to be lost unnoticed
//
// # Who should use something else
//
// One copy from one reader to one writer, with nothing to be recovered when it fails and nobody to look at it, is
// [io.Copy]; it splices too. Two goroutines that hand over whole values want a channel. [io.Pipe] is enough where the
// writer may wait for each read.
package penstock
