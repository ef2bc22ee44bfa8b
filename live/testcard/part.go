package testcard

import (
	"strconv"
	"time"
)

// Boundary is what stands between two parts of the stream, after two hyphens (RFC 2046, section 5.1).
const Boundary = "penstock-frame"

// ContentType is that of the response whose body is a sequence of parts. A browser that gets it for an <img> shows
// each part in place of the one before.
const ContentType = "multipart/x-mixed-replace; boundary=" + Boundary

// Part appends frame n as seen at t to dst, as one whole part of a [ContentType] body, and returns the extended slice,
// which is the caller's:
//
//	--penstock-frame
//	Content-Type: image/jpeg
//	Content-Length: 39512
//
//	<the JPEG of Frame>
//
// Lines end with CRLF, and so does the JPEG. Parts can follow each other immediately, and the first needs nothing
// before it.
func (c *Card) Part(dst []byte, n uint64, t time.Time) []byte {
	c.body = c.Frame(c.body[:0], n, t) // first: the head tells its length
	dst = append(dst, "--"+Boundary+"\r\nContent-Type: image/jpeg\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(c.body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	dst = append(dst, c.body...)
	return append(dst, "\r\n"...)
}
