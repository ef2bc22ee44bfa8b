package penstock

import (
	"context"
	"io"
	"time"
)

// Path names the way bytes take over one edge, from a source into a pipe or out of it into a sink.
type Path string

// The paths, in the kernel's and the field's words. A path told with a reason is one line of a report.
const (
	PathSplice    Path = "splice"     // splice(2): the data stays in the kernel
	PathTeeSplice Path = "tee+splice" // tee(2) from a pipe that others read too, then splice(2)
	PathSendfile  Path = "sendfile"   // sendfile(2): from the page cache to a socket
	PathPages     Path = "pages"      // readv and writev of reference-counted pages in this process
	PathReadWrite Path = "read/write" // a Reader or a Writer: through a buffer

	PathCopyFileRange Path = "copy_file_range" // copy_file_range(2): file to file, by reference where the file system can
)

// Flags qualify one transfer.
type Flags uint8

const (
	// NonBlock makes a transfer return what it could move at once, and ErrWouldBlock when that is nothing.
	NonBlock Flags = 1 << iota

	// Gift makes lent memory the pipe's own: see [Vmsplice].
	Gift
)

// Conduit is a pipe of either backing: a [*Pipe] or a [*KernelPipe], and nothing else, because the fast paths depend on
// what is behind it. A type that embeds one is a reader and a writer like any other to [Splice], and EINVAL to [Tee].
type Conduit interface {
	// Read and Write block like those of any pipe. Either end may be plain while the other is spliced.
	io.ReadWriter

	// Len returns the bytes held, Cap the bytes that fit when every slot's page is full.
	Len() int
	Cap() int

	// PeekInto copies the first bytes held into b without consuming them, and returns how many. It does not block.
	PeekInto(b []byte) (int, error)

	// Discard drops up to n bytes from the head, and returns how many. It does not block.
	Discard(n int) (int, error)

	// Close releases both ends and what is between them.
	Close() error

	// available waits until there is something to take out that has arrived, unless flags say NonBlock, and returns
	// how many bytes there are. Its error at the end is io.EOF. room waits likewise until something fits. Both may be
	// untrue the next moment.
	available(ctx context.Context, flags Flags) (int, error)
	room(ctx context.Context, flags Flags) error

	backing() string
}

// Source is what can fill a pipe: the seeds' splice_read. Not safe for concurrent use.
type Source interface {
	// SpliceRead moves up to n bytes, at least one, into p, which the caller has found empty if it is a kernel pipe: it
	// could not tell otherwise which side would block. It waits for the source, unless flags say NonBlock, and returns
	// io.EOF, bare, at its end; any other error is an *OpError. Bytes moved are returned with either. A source never
	// waits for room in p: it moves what fits, and where it cannot know what does, no more than p.Cap().
	SpliceRead(p Conduit, n int, flags Flags) (int, error)

	// Path tells the way into a pipe of p's backing, and why.
	Path(p Conduit) (Path, string)

	// Polls tells whether NonBlock works; a source that cannot poll waits all the same.
	Polls() bool

	// Wait waits until a SpliceRead would not block, without a pipe in hand: what is quiet should not hold one. A
	// source that cannot poll returns nil at once.
	Wait() error
}

// Sink is what can empty a pipe: the seeds' splice_write. Not safe for concurrent use.
type Sink interface {
	// SpliceWrite moves up to n bytes, which p holds, from its head to the sink. It returns early only with an
	// error; with NonBlock it returns what the sink took at once. What the sink did not take is still in p.
	SpliceWrite(p Conduit, n int, flags Flags) (int, error)

	// Path tells the way out of a pipe of p's backing, and why.
	Path(p Conduit) (Path, string)

	// Polls tells whether NonBlock works: a file's writes wait for the disk, and a plain Writer's for whatever is
	// behind it, so such sinks want a goroutine of their own.
	Polls() bool

	// Interrupt makes a SpliceWrite that waits, and every later one, return promptly with an error, from any
	// goroutine, where the sink can do that (see [SinkOf]). What was moved before is counted as ever.
	Interrupt()

	// Resume undoes Interrupt.
	Resume()
}

// readDeadliner and writeDeadliner are what interrupts a wait: a deadline in the past.
type (
	readDeadliner  interface{ SetReadDeadline(time.Time) error }
	writeDeadliner interface{ SetWriteDeadline(time.Time) error }
)

// past is a deadline that has always gone by.
var past = time.Unix(1, 0)
