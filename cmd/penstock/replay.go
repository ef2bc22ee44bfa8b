package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/internal/manual"
	"github.com/penstock-io/penstock/relay"
	"github.com/penstock-io/penstock/relay/capture"
)

const replayStatus = `
  0    Everything has been sent, and with --verify what came back is what had then.
  1    What came back is something else, or something failed that is none of the following.
  2    The command line was wrong; nothing has been done.
  3    The file could not be read, is damaged or cut short, or lacks bytes. What it has before that has been sent.
  4    The target could not be connected to, or has failed.
  130  Interrupted by Ctrl-C (SIGINT); 143 by SIGTERM.`

// replayFlags is the command line of replay.
type replayFlags struct {
	speed  speed
	verify bool
	idle   time.Duration
	quiet  bool
}

func newReplay() *cobra.Command {
	f := replayFlags{speed: 1, idle: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "replay FILE TARGET",
		Short: "Send again what a client has sent, from a capture of a relay",
		Long: `Send again what a client has sent, from a capture of a relay, at the pace at which it did.

FILE is what "penstock relay" has written with --mirror capture:FILE. TARGET is an address as of copy that goes both
ways:
  HOST:PORT, tcp://  a connection
  unix:PATH          a connection to a Unix socket
  tls://HOST:PORT    a connection with TLS
  exec:COMMAND       a command

What TARGET answers is read, and dropped, or compared with --verify. When as much has come back as had then, or nothing
has for --idle, TARGET is told that no more comes.

Nothing waits for an answer, as a client would: what was sent is sent at its time. A target that is slower than the one
then may be spoken to before it has answered.`,
		Example: `  penstock replay 7.cap tcp://127.0.0.1:5432
  penstock replay 7.cap staging:6379 --speed max --verify`,
		Annotations: map[string]string{manual.ExitStatus: replayStatus},
		Args:        usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAs(args[1], address.Both)
			if err != nil {
				return &usageError{fmt.Errorf("target: %w", err)}
			}
			if f.idle <= 0 {
				return &usageError{fmt.Errorf("--idle %v: want more than 0", f.idle)}
			}
			r := &replay{replayFlags: f, file: args[0], target: a, stderr: cmd.ErrOrStderr()}
			status := r.run(cmd.Context())
			if s := signalOf(cmd.Context()); s != 0 {
				status = exitSignalled + int(s)
			}
			if status != 0 {
				return &statusError{status}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Var(&f.speed, "speed", "how much faster than then, `TIMES`: 2x, 0.5x; max is as fast as it goes")
	flags.BoolVar(&f.verify, "verify", false, "compare what comes back with what did then")
	flags.DurationVar(&f.idle, "idle", f.idle, "how long TARGET may neither take nor answer anything")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "do not say how much was sent")
	return cmd
}

// speed is how much faster than recorded: 0 is as fast as it goes.
type speed float64

func (s *speed) Set(text string) error {
	if text == "max" {
		*s = 0
		return nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(v > 0 && v <= 1e9) {
		return errors.New("want how many times as fast, such as 2x, or max")
	}
	*s = speed(v)
	return nil
}

func (s *speed) String() string {
	if *s == 0 {
		return "max"
	}
	return strconv.FormatFloat(float64(*s), 'g', -1, 64) + "x"
}

func (s *speed) Type() string { return "TIMES" }

// after returns when something is due that was so long after the beginning.
func (s speed) after(d time.Duration) time.Duration {
	if s == 0 {
		return 0
	}
	return time.Duration(float64(d) / float64(s))
}

// replay is one run of the command.
type replay struct {
	replayFlags
	file   string
	target address.Address
	stderr io.Writer
}

func (r *replay) say(format string, args ...any) {
	fmt.Fprintf(r.stderr, "penstock: "+format+"\n", args...)
}

// openCapture opens the file and reads its header. The capture is a regular file: the answers in it are read beside the
// rest.
func (r *replay) openCapture() (*os.File, *capture.Reader, error) {
	f, err := os.Open(r.file)
	if err != nil {
		return nil, nil, err
	}
	c, err := capture.NewReader(f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, c, nil
}

// run replays, and returns the exit status. What failed has been said.
func (r *replay) run(ctx context.Context) int {
	sum, err := r.survey()
	if err != nil && sum == nil {
		r.say("source %s: %v", r.file, reasonOf(err))
		return exitSource
	}
	f, c, operr := r.openCapture()
	if operr != nil {
		r.say("source %s: %v", r.file, reasonOf(operr))
		return exitSource
	}
	defer f.Close()
	again, answers, operr := r.openCapture()
	if operr != nil {
		r.say("source %s: %v", r.file, reasonOf(operr))
		return exitSource
	}
	defer again.Close()
	end, operr := r.target.Open(ctx, address.Both, address.Config{Say: func(text string) { r.say("%s", text) }})
	if operr != nil {
		r.say("target %s: %s", r.target.Redacted(), withoutAddress(operr))
		return exitDestinations
	}
	p := &playing{
		speed: r.speed, idle: r.idle, verify: r.verify, source: c, expected: &answered{r: answers}, wanted: sum.backward,
		to: end.Writer, from: end.Reader, end: end,
	}
	p.run(ctx)
	return r.report(ctx, p, sum, err)
}

// reasonOf is what an error is, without the name that is said with it, and the operation.
func reasonOf(err error) error {
	var pe *os.PathError
	var op *net.OpError
	var sys *os.SyscallError
	if errors.As(err, &pe) {
		return pe.Err
	}
	if errors.As(err, &op) {
		err = op.Err
	}
	if errors.As(err, &sys) {
		return sys.Err
	}
	return err
}

// extent is what there is in a capture.
type extent struct {
	forward, backward int64 // bytes
	ending            relay.Ending
}

// survey reads the file through. Its error is why that was not all there should be; without one it is no capture.
func (r *replay) survey() (*extent, error) {
	f, c, err := r.openCapture()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var sum extent
	for {
		one, err := c.Next()
		if err == io.EOF {
			sum.ending, _ = c.Ending()
			return &sum, nil
		}
		if err != nil {
			return &sum, err
		}
		if one.Direction == relay.Forward {
			sum.forward += int64(len(one.Data))
		} else {
			sum.backward += int64(len(one.Data))
		}
	}
}

// report says how it went, and returns the exit status.
func (r *replay) report(ctx context.Context, p *playing, sum *extent, damage error) (status int) {
	fail := func(with int, format string, args ...any) {
		r.say(format, args...)
		if status == 0 {
			status = with
		}
	}
	if p.err != nil && ctx.Err() == nil {
		fail(exitDestinations, "target %s: %s, after %d of %d bytes",
			r.target.Redacted(), withoutAddress(reasonOf(p.err)), p.sent, sum.forward)
	}
	if damage != nil {
		fail(exitSource, "source %s: %v, after %d and %d bytes", r.file, damage, sum.forward, sum.backward)
	}
	if e := sum.ending; e.Forward.Lost > 0 {
		fail(exitSource, "source %s: lacks %d bytes of what the client sent", r.file, e.Forward.Lost)
	}
	if r.verify && p.difference != "" && ctx.Err() == nil {
		fail(exitFailed, "target %s: %s", r.target.Redacted(), p.difference)
	}
	if e := sum.ending; r.verify && e.Backward.Lost > 0 {
		fail(exitFailed, "source %s: lacks %d bytes of the answers, which cannot be compared", r.file, e.Backward.Lost)
	}
	if !r.quiet {
		said := ""
		if r.verify && p.difference == "" {
			said = ", as then"
		}
		r.say("%d bytes sent in %v, %d came back%s", p.sent, p.took.Round(time.Millisecond), p.came, said)
	}
	return status
}
