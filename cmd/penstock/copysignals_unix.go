//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// whenAsked calls print when a signal asks for the progress, and again when the process goes on after it was stopped,
// until what it returns is called.
func (j *copyJob) whenAsked(print, again func()) (stop func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, append(askSignals, syscall.SIGCONT)...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range asked {
			if s == syscall.SIGCONT {
				again()
			} else {
				print()
			}
		}
	}()
	return func() {
		signal.Stop(asked)
		close(asked)
		<-done
	}
}
