// Package soak is a test of minutes: a live server with publishers and viewers of all kinds who come and go, and nothing
// of it may grow. There is nothing here to import; "make soak" runs it.
//
//	this process: live.Server, twice                       a process of its own: the crowd
//	┌───────────────────────────────────────┐              ┌─────────────────────────────────────┐
//	│ cam  parts, recorded    kernel pipes  │ ◀── TCP ───  │ publishers that end, come back,     │
//	│ raw  bytes, recorded    kernel pipes  │     HTTP/1.1 │ are reset, are taken over from      │
//	│ mem  parts, no disk     memory pipes  │     HTTP/2   │ viewers in step, slow, trickling,   │
//	└───────────────────────────────────────┘ ─── TLS ──▶  │ stalled, in the past, gone at once  │
//	  descriptors, goroutines, pages, memory               └─────────────────────────────────────┘
//	  are sampled                                            every byte is checked
//
// The crowd has a process of its own so that what is sampled is the server's alone.
package soak
