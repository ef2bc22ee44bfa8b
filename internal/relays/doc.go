// Package relays is a process's relays: what is to be said of them, by flags or in a file, their listeners, a change
// while they run, and what is told of them by HTTP.
//
//	flags, relay.yaml ──▶ Config ──▶ Set.Apply ──▶ a listener and a relay.Relay each
//	                                    │
//	                     access log, /metrics, /api/v1/…, the page
//
// Every setting of a relay stands in one table, Settings, from which come the flags, the keys of the file and what is
// wrong with either. A Config is taken whole or not at all: what cannot be read, or listened on, changes nothing.
//
// Who should use something else: a program that forwards connections as one of several things that it does. It has
// package relay.
package relays
