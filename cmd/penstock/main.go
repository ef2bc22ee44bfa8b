// Command penstock moves byte streams. Its exit status is 0 when all went well, 1 when something failed, 2 when the
// command line was wrong, and 128 and the signal's number when that ended it. Copy has some of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/internal/manual"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

// exitStatus is what the man pages say, but for those of commands that have more to tell.
const exitStatus = `
  0  All went well.
  1  Something failed; one line on the standard error says what.
  2  The command line was wrong; nothing has been done.`

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// signalError is the cause of a context that a signal has cancelled.
type signalError struct{ syscall.Signal }

func (e *signalError) Error() string { return e.Signal.String() }

// signalOf returns the signal that cancelled a context, 0 if none did.
func signalOf(ctx context.Context) syscall.Signal {
	var s *signalError
	if errors.As(context.Cause(ctx), &s) {
		return s.Signal
	}
	return 0
}

// together is how far apart two signals can be that were meant as one: timeout(1) sends its own to the process and then
// to the process's group, and a parent may pass on a Ctrl-C that a terminal has sent to both.
const together = 300 * time.Millisecond

// run is main with its surroundings named. The first SIGINT or SIGTERM cancels the command's context, and a second
// kills as it would any program.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	wanted := []os.Signal{syscall.SIGTERM}
	if !signal.Ignored(os.Interrupt) { // as of what a shell runs in the background
		wanted = append(wanted, os.Interrupt)
	}
	signal.Notify(signals, wanted...)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			cancel(&signalError{s.(syscall.Signal)})
			time.Sleep(together)
			signal.Stop(signals)
		case <-ctx.Done():
		}
	}()

	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if said := (*statusError)(nil); errors.As(err, &said) {
		return said.status
	}
	fmt.Fprintln(stderr, "penstock:", err)
	if s := signalOf(ctx); s != 0 {
		return exitSignalled + int(s)
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "penstock",
		Short:         "Move byte streams from any source to any number of sinks",
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{manual.ExitStatus: exitStatus},
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(newCopy(), newExplain(), newServe(), newRelay(), newReplay(), newProbe(), newBench(), newMan())
	if peers := newBenchPeers(); peers != nil {
		root.AddCommand(peers)
	}
	return root
}

// usageArgs makes a mistake in the arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{err}
		}
		return nil
	}
}
