package format

import "mime"

// Scanner looks at a live stream's bytes as they pass, and says where a viewer may begin and where it may stop. It
// copies nothing but the few bytes of Header, and in the steady state it allocates nothing. A scanner is of one
// publisher, and of one goroutine at a time.
type Scanner interface {
	// Scan looks at the next run of the stream, and returns offsets from the run's beginning, or -1 for none:
	// join is the newest join point in it, where a viewer may begin behind Header; cut is the first place in it where a
	// viewer may stop with nothing but whole units had; end is where the run should be cut. What is behind end is an
	// unfinished unit, or may become a delimiter: it is to stand at the head of the next run. join and cut are before
	// end, 0 <= end <= len(run), and len(run)-end < MaxTail.
	//
	// Runs follow each other without a gap and have any length: what is said about a stream does not depend on how it was
	// divided, except that a run names only its newest join point and its first cut. The run is used during the call only.
	Scan(run []byte) (join, cut, end int)

	// Header returns what a viewer that begins at the newest join point has to get first; nil is nothing. The bytes never
	// change: when the header does, it is a new slice.
	Header() []byte
}

// MaxTail is more than any Scan leaves for the next run, in bytes.
const MaxTail = 4096

// Scanner returns a new scanner for a stream of this format, or nil: then nothing is known of the format's units. What
// to make of nil is the caller's choice.
func (f Format) Scanner() Scanner {
	media, params, err := mime.ParseMediaType(f.ContentType)
	if err != nil {
		return nil
	}
	switch media {
	case "video/mp2t":
		return newTransport()
	case "multipart/x-mixed-replace":
		if m, ok := newMultipart(params["boundary"]); ok {
			return m
		}
	}
	return nil
}
