// Package live is the server for live streams: named streams, each with a publisher that may come and go, a recording,
// and any number of viewers. `penstock serve` is a command line around it.
//
//	PUT /live/NAME ─┐                             ┌─▶ GET /live/NAME   any number
//	tcp-listen:// ──┼─▶ stream NAME ─▶ hub.Hub ───┼─▶ GET /live/NAME
//	test card ──────┘                             └─▶ DIR/NAME/<UTC start>.<ext>, .index
//
// A stream outlives its publisher by the grace: who returns in time goes on with the same viewers and in the same
// recording. After it, viewers see the end of the stream. While they wait they may be shown a [Filler].
//
// The recording is where slow viewers catch up, and where those begin that want to see the past. It may have gaps, where
// the disk failed; the stream has none.
//
// Bytes take the way that [hub.Hub] chooses. HTTP stays out of it: a viewer's connection is taken over from net/http,
// and its response header goes into the same pipe as the first data; so is a publisher's that sends a Content-Length.
// Only chunked uploads and HTTP/2 go through net/http, and the stream's report says so.
package live
