// Package tell is how a server tells facts about itself: to programs in JSON, to a page by events, to Prometheus. The
// facts, and which there are, are the server's.
package tell
