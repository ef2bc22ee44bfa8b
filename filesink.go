package penstock

import "os"

// FileSink is a Sink that takes a file's bytes without a pipe in between. On Linux the Sink of a socket is one.
type FileSink interface {
	Sink

	// SendFile moves up to n bytes from f's position on, which it advances by as many, to the sink, and waits for
	// that as SpliceWrite does. It returns fewer, or none, without an error where the file ends. Its error is
	// ErrCannotSplice, before anything has moved, where this sink or this file has no such way. (sendfile(2))
	SendFile(f *os.File, n int, flags Flags) (int, error)
}

// BytesSink is a Sink that takes bytes of the caller's without a pipe in between: for who has the same bytes for many. On
// Linux the Sink of a socket is one.
type BytesSink interface {
	Sink

	// TryWritev writes what goes at once of the bytes in views, in order, and returns how much that was. Where nothing
	// does the error is ErrWouldBlock. It never waits, so Interrupt has nothing to end: it goes on as before.
	// (writev(2))
	TryWritev(views [][]byte) (int, error)
}
