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
