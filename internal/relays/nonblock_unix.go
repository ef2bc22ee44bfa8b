//go:build unix

package relays

import "syscall"

// nonBlock opens a FIFO without waiting for whoever is to read it: nobody could end that wait.
const nonBlock = syscall.O_NONBLOCK
