//go:build unix

package mirror

import "syscall"

// nonBlock opens a FIFO without waiting for whoever is to read it.
const nonBlock = syscall.O_NONBLOCK
