//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"os"
	"syscall"
)

// askSignals ask for the progress; SIGINFO is Ctrl-T.
var askSignals = []os.Signal{syscall.SIGUSR1, syscall.SIGINFO}
