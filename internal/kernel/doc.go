// Package kernel holds the system calls that move data between pipes, as thin as they can be and still be right: every
// call retries EINTR, takes and returns plain integers, and leaves waiting to its caller. Descriptors are expected to be
// non-blocking.
//
// What each call really does, and where it surprises, is told at the call. Outside Linux there is nothing here but
// [Supported].
package kernel
