//go:build unix

package main

import (
	"context"
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

// untilHangup is a context that the end of a session cancels, too (SIGHUP), as Ctrl-C does, until what it returns is
// called. Who has nohup(1) ignore that is left alone.
func untilHangup(ctx context.Context) (context.Context, func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	hung := make(chan os.Signal, 1)
	signal.Notify(hung, syscall.SIGHUP)
	go func() {
		select {
		case <-hung:
			cancel(&signalError{syscall.SIGHUP})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(hung)
		cancel(nil)
	}
}
