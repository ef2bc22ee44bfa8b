//go:build unix && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package main

import (
	"os"
	"syscall"
)

// askSignals ask for the progress.
var askSignals = []os.Signal{syscall.SIGUSR1}
