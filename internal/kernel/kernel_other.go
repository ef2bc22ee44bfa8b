//go:build !linux

package kernel

// Supported tells whether this system has splice(2) and tee(2).
const Supported = false
