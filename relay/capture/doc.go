// Package capture is a file of what went through one connection: both directions, in pieces with their times, and how
// it ended.
//
//	header │ frame │ frame │ … │ end
//
// A file that is cut short, by a crash or a full disk, can be read up to there; a [Reader] then says that it was. A
// file is written with [Writer.Side], from one goroutine for each direction, and read with [Reader.Next].
//
// # Format
//
// Numbers are unsigned varints as in package encoding/binary, unless something else is said; a text is its length in
// bytes, a number of 4096 at most, and that many bytes of UTF-8.
//
//	header
//	  8 bytes   89 50 53 43 0d 0a 1a 0a; what translates line ends breaks it at once
//	  1 byte    version: 1
//	  number    of the connection
//	  8 bytes   when it began: nanoseconds since 1970 UTC, signed, big-endian
//	  text      the relay's name
//	  text      the client's address, 192.0.2.1:5000 or [2001:db8::1]:5000; empty if it has none
//	  text      the address that it connected to, likewise
//	  text      the target's address
//	frame
//	  1 byte    1 is from the client to the target, 2 is back
//	  number    nanoseconds since the connection began; never less than in the frame before
//	  number    how many bytes follow: 1 to 65536
//	  bytes
//	end
//	  1 byte    3
//	  number    nanoseconds since the connection began
//	  2 bytes   how it ended: a [relay.Termination]
//	  number    bytes in the frames from the client to the target
//	  number    bytes that should be in such frames besides, and were lost
//	  number    bytes in the frames back
//	  number    bytes that should be in such frames besides, and were lost
//
// Nothing stands behind the end. Times are those at which the capture got the bytes, which is a little after the
// connection did. The order of frames of one direction is that of the bytes; of two directions it is that of times.
//
// # Who should use something else
//
// Who wants packets rather than streams, or a connection that does not go through a relay: tcpdump. And who is to look
// into a protocol: a capture has bytes, and no meaning.
package capture

const (
	magic    = "\x89PSC\r\n\x1a\n"
	version  = 1
	maxText  = 4096
	maxFrame = 64 << 10
)

// The first byte of a frame.
const (
	forwardFrame  = 1
	backwardFrame = 2
	endFrame      = 3
)
