// Package recording keeps one live stream on disk while it goes on: a [penstock.Sink] like any other, that can be read
// at any place while it is written.
//
//	                      Mark: join points
//	                            │
//	pipe ─SpliceWrite→ ┌────────▼────────┬──── gap ────┬─────────────────┬──────────▷ End
//	                   │ segment, closed │ disk full:  │ segment, closed │ segment, growing
//	                   │                 │ dropped     │                 │
//	                   └────────▲────────┴─────────────┴───────▲─────────┴──────────
//	   index: a line for each segment, join point, gap        Open(off): the bytes from there
//	                            └ Find(time): where that is
//
// Every byte of the stream has an offset, counted from 0. Up to End each is either in exactly one segment or in exactly
// one gap; the two tile the stream.
//
// # Segments
//
// A segment is a file that holds one run of the stream and nothing else. It ends when it has reached a size or an age,
// and the next one begins at a join point, so that each can be played by itself. Files are made by the caller, who
// names them, and closed here, by a goroutine of the recording's own.
//
// # A disk that fails
//
// A full disk, a broken one, or one that has gone does not harm the stream: SpliceWrite drops what cannot be written,
// says how much in a gap, and tries again with a new segment. What a segment had taken stays in it. Where fsync fails,
// what was written since the last that succeeded may be on the disk or not: it is told as in doubt, and is neither
// dropped nor read back.
//
// # The index
//
// A text file beside the segments says what is in them, a line each: see [ReadIndex]. It is written for those who
// come later; the recording itself never reads it.
//
// # Who should use something else
//
// A file that holds a whole stream and never fails to: [penstock.SinkOf] of it. Deleting old segments is somebody
// else's: what is gone is an error of Open for those who ask for it, and nothing to the recording.
package recording
