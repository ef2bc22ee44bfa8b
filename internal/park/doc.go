// Package park is waiting on a descriptor with deadline and cancellation, for descriptors that the Go runtime's poller
// cannot wait for: those whose open file description blocks and belongs to others, too, so that O_NONBLOCK is not ours
// to set (it is the description's, not the descriptor's: a shell whose stdin a child makes non-blocking is logged out).
// A stdin, a stdout, a terminal, an inherited FIFO are such.
//
//	            ┌────────────────────────── poll(2), in a thread ─┐
//	goroutine ──┤  the descriptor: readable, writable, hung up    ├─▶ nil: look, then call
//	            │  an eventfd: deadline, context, Interrupt, Close├─▶ why it ended
//	            └─────────────────────────────────────────────────┘
//
// A [Waiter] waits in a thread with poll(2) on the descriptor and on an eventfd, which whoever wants the wait to end
// kicks. It never reads or writes the descriptor: what follows a wait is the caller's, and has to be a call that cannot
// block if the state is gone again by then. For a pipe that is preadv2(2) with RWF_NOWAIT, or splice(2) with
// SPLICE_F_NONBLOCK; where nothing of the kind exists, a read(2) after "readable" blocks only if somebody else was
// faster, and a write(2) of at most PIPE_BUF bytes after "writable" only likewise.
//
// Who should use something else: whoever owns the description. Set O_NONBLOCK and use os.NewFile: the runtime's poller
// needs no thread per wait.
//
// Outside Linux there is no eventfd, and every wait fails with [errors.ErrUnsupported].
package park
