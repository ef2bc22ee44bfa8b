package penstock

import (
	"context"
	"errors"
	"io"
	"os"
)

// Copy moves bytes from src to dst until src ends, and returns how it went; nil is the error at src's end. It chooses
// the way by what the two are, changes it by what it sees, and tells it in the report:
//
//   - a file to a socket goes by sendfile(2), a file to a file by copy_file_range(2);
//   - a FIFO to or from any descriptor goes by one splice(2);
//   - other descriptors go by splice(2) through a kernel pipe while there is much to move, and by read(2) and write(2)
//     while the messages are small. Neither a pipe nor a buffer is held while the source is quiet;
//   - between a [Pipe] or a [KernelPipe] and anything it is as with [Splice];
//   - whatever else reads and writes goes through a buffer. So does what a wrapper hides, but for an *io.LimitedReader, and a
//     *bufio.Reader, whose remainder goes first; see [Bare].
//
// Where the kernel or the sandbox refuses a way before the first byte, the next one is taken. A datagram socket is
// refused: its messages have ends that a stream would lose.
//
// Nothing is lost. An error is an [*OpError] with the side that failed and the offset at which; what had left the source
// and not reached the sink is its InFlight, to be read or to be given to [Resume]. With several sinks there may be
// several errors, joined. The end of ctx is an error like that, with the context's cause: it interrupts a wait where
// that has deadlines, and where the descriptor can be polled. The Read of another reader is left behind: what it still
// brings goes to InFlight, whose end comes when it has returned. The Write of another writer is waited for, as nobody
// could know what it took; and so is a Read whose SetReadDeadline does nothing. A deadline that the caller had set is
// gone after an interruption.
func Copy(ctx context.Context, dst io.Writer, src io.Reader, opts ...Option) (Report, error) {
	return NewTransfer(dst, src, opts...).Run(ctx)
}

// Resume is Copy after a Copy that failed: what was in flight goes first, and then the rest of src. failed is that
// Copy's error; if nothing was in flight, Resume is Copy. What the new sink does not take stays in the same pipe, which
// is the InFlight of this Copy's error, too. WithTee is refused: it was one sink that failed.
func Resume(ctx context.Context, dst io.Writer, src io.Reader, failed error, opts ...Option) (Report, error) {
	t := NewTransfer(dst, src, opts...)
	var one *DirectionError
	if errors.As(failed, &one) {
		failed = one.Err
	}
	gather(failed)
	var op *OpError
	if errors.As(failed, &op) {
		t.first = op.InFlight
	}
	return t.Run(ctx)
}

// Sendfile moves n bytes of a file from off on, or all to its end if that is nearer, and returns how many. The file's
// own position stays where it is. (sendfile(2))
func Sendfile(ctx context.Context, dst io.Writer, file *os.File, off, n int64) (int64, error) {
	rep, err := Copy(ctx, dst, io.NewSectionReader(file, off, n))
	return rep.Delivered, err
}
