// Package relay forwards connections to targets, socket to socket, with mirrors inline.
//
//	            ┌──────────────────────── relay ─────────────────────────┐
//	client ──▶ accept, limits ──▶ target (balanced, checked, retried) ──▶ server
//	            │           splice(2), both ways                         │
//	            └── tee(2) ──▶ mirror: a file, a target that only listens, a command
//
// The bytes do not enter the process where the kernel can splice, and timeouts, limits, counters and mirrors do not
// change that: they are all on top of [penstock.CopyBoth]. A connection in which nothing happens costs two descriptors.
//
// # Mirrors
//
// A mirror gets a copy of what goes through, in either direction or both, byte for byte. It never holds up, changes or
// ends the connection: it has a queue of its own, and when that is full, or the mirror has gone, what it lacks is
// counted and told.
//
// # How connections end
//
// Each has a [Termination] of two letters, as HAProxy logs them: who ended it, and in which phase.
//
// # Who should use something else
//
// Who wants to look into the protocol: to route by HTTP's path, to pool a database's connections. For that there are
// HAProxy, nginx, Envoy and PgBouncer.
package relay
