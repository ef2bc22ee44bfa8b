package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/meter"
)

// copyJob is a copy that has been found to make sense.
type copyJob struct {
	*copyFlags
	source       address.Address
	destinations []address.Address
	most         int64 // bytes to be copied at most; -1 for all
	display      *meter.Display

	mu    sync.Mutex // guards what follows
	runs  []shown    // what runs now
	last  *stream    // the one that was the last to begin, also when it is over
	speed int64      // bytes per second that transfers are held to; 0 for no limit
}

// shown is what runs and can be looked at, and be slowed down.
type shown interface {
	states() []meter.State
	setSpeed(bytesPerSecond int64)
}

// defaultBuffer is how far a destination that must not hold up the others may be behind.
const defaultBuffer = 8 << 20

var outputErrors = []string{"warn", "warn-nopipe", "exit", "exit-nopipe"}

// checkArgs counts the addresses.
func (f *copyFlags) checkArgs(_ *cobra.Command, args []string) error {
	switch {
	case f.remote < 0:
		return fmt.Errorf("--remote %d: want the number of a process", f.remote)
	case f.remote > 0 && len(args) > 0:
		return errors.New("--remote: goes without addresses, it changes a copy that runs")
	case f.remote > 0, len(args) == 2:
		return nil
	case len(args) < 2:
		return fmt.Errorf("want SOURCE and DESTINATION, not %d addresses; see penstock copy --help", len(args))
	default:
		return fmt.Errorf("want one SOURCE and one DESTINATION, not %d addresses: each further destination stands behind -o", len(args))
	}
}

// job turns the flags into what they mean. It opens nothing.
func (f *copyFlags) job(cmd *cobra.Command, args []string) (*copyJob, error) {
	j := &copyJob{copyFlags: f, speed: int64(f.rate), most: -1}
	if cmd.Flags().Changed("limit") {
		j.most = int64(f.limit)
	}
	if size := int64(f.show.size); f.stopAtSize && (j.most < 0 || j.most > size) {
		j.most = size
	}
	var err error
	if j.source, err = parseAs(args[0], f.role(address.Source)); err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	for _, text := range append(args[1:], f.outputs...) {
		a, err := parseAs(text, f.role(address.Destination))
		if err != nil {
			return nil, fmt.Errorf("destination: %w", err)
		}
		j.destinations = append(j.destinations, a)
	}
	if err := f.check(cmd); err != nil {
		return nil, err
	}
	if err := j.checkTogether(); err != nil {
		return nil, err
	}
	if j.display, err = f.show.display(os.Stderr); err != nil {
		return nil, err
	}
	return j, nil
}

func (f *copyFlags) role(one address.Role) address.Role {
	if f.both {
		return address.Both
	}
	return one
}

func parseAs(text string, role address.Role) (address.Address, error) {
	a, err := address.Parse(text)
	if err == nil {
		err = a.Check(role)
	}
	return a, err
}

// check looks at each flag by itself.
func (f *copyFlags) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case !slices.Contains(outputErrors, f.outputError):
		return fmt.Errorf("--output-error %q: want %s", f.outputError, strings.Join(outputErrors, ", "))
	case f.idle < 0:
		return fmt.Errorf("--idle %v: want no less than 0", f.idle)
	case f.timeout < 0:
		return fmt.Errorf("--timeout %v: want no less than 0", f.timeout)
	case f.stopAtSize && !changed("size"):
		return errors.New("--stop-at-size: needs --size")
	case f.buffer == 0 && (changed("start-above") || changed("refill-below")):
		return errors.New("--start-above and --refill-below: need --buffer")
	case f.pipeSize != 0 && (int(f.pipeSize) < os.Getpagesize() || f.pipeSize&(f.pipeSize-1) != 0):
		return fmt.Errorf("--pipe-size %v: want a power of two, of a page at least", &f.pipeSize)
	}
	_, _, err := parseSum(f.sum)
	return err
}

// checkTogether looks at what goes with what.
func (j *copyJob) checkTogether() error {
	several, again := 0, false
	for i, a := range append([]address.Address{j.source}, j.destinations...) {
		if repeats(a) {
			several++
			again = i > 0
		}
	}
	plain := 0
	for _, a := range j.destinations {
		if a.Scheme == address.File {
			plain++
		}
	}
	switch {
	case several > 1:
		return errors.New("of the addresses only one can say ?fork or ?accept")
	case again && !j.both && slices.Contains(readOnce, j.source.Scheme):
		return fmt.Errorf("%s: can be read once, and the destination wants it for each connection", j.source.Redacted())
	case j.source.Options.Fork && !j.both && j.overwrites():
		return errors.New("?fork: the connections would overwrite each other's file; want ?append, or ?accept in place of ?fork")
	case j.both && len(j.destinations) > 1:
		return errors.New("--both: goes with one destination")
	case j.both && (j.sum != "" || j.resume || j.saveInFlight != "" || j.buffer != 0 || j.skip != 0):
		return errors.New("--both: goes without --sum, --resume, --save-in-flight, --buffer and --skip")
	case j.resume && plain == 0:
		return errors.New("--resume: no destination is a file")
	case j.resume && (several > 0 || j.stdoutTwice()):
		return errors.New("--resume: goes with one copy")
	case j.stdoutTwice():
		return errors.New(`"-" can be the source and one destination`)
	case len(j.destinations) == 1 && j.destinations[0].Options.OnSlow == "skip":
		return errors.New("?on-slow=skip: is for one destination among several; a single one may have a --buffer")
	}
	return nil
}

// readOnce are the schemes of sources that are used up when they have been read.
var readOnce = []address.Scheme{address.Stdio, address.FD, address.FIFO}

// overwrites tells whether a destination is a file that each copy would empty.
func (j *copyJob) overwrites() bool {
	return slices.ContainsFunc(j.destinations, func(a address.Address) bool {
		return a.Scheme == address.File && !a.Options.Append
	})
}

// stdoutTwice tells whether standard output is wanted more than once.
func (j *copyJob) stdoutTwice() bool {
	n := 0
	for _, a := range j.destinations {
		if a.Scheme == address.Stdio {
			n++
		}
	}
	return n > 1
}

// repeats tells whether an address is good for more than one connection.
func repeats(a address.Address) bool { return a.Listens() && (a.Options.Fork || a.Options.Accept != 0) }

// statusError is an error of which all that there is to say has been said.
type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("status %d", e.status) }

// run copies, and shows it. What failed has been said when it returns.
func (j *copyJob) run(ctx context.Context) error {
	ctx, stay := untilHangup(ctx)
	defer stay()
	if j.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, j.timeout, errTimeout)
		defer cancel()
	}
	// If whoever reads what is said goes away, that is no reason to cut destinations short, and the runtime would end the
	// process. Not ignored but taken: what is ignored, the commands of exec: would inherit.
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	defer signal.Stop(unread)
	defer j.serveControl(ctx)()
	stop := j.showing(ctx)
	status := j.copyAll(ctx)
	stop()
	j.sayLast()
	if s := signalOf(ctx); s != 0 {
		status = exitSignalled + int(s)
	}
	if status != 0 {
		return &statusError{status}
	}
	return nil
}

var errTimeout = errors.New("not done within --timeout")

// stopped says that ctx has ended what was waited for, for which nobody is to blame, and returns the status.
func (j *copyJob) stopped(ctx context.Context) int {
	if signalOf(ctx) != 0 {
		j.say("interrupted")
	} else {
		j.say("%v", context.Cause(ctx))
	}
	return exitFailed // or what run makes of the signal
}

// copyAll makes one copy, or one for each connection, and returns the status of the first that failed.
func (j *copyJob) copyAll(ctx context.Context) int {
	if j.both {
		return j.each(ctx, j.talk)
	}
	return j.each(ctx, j.copyOnce)
}

// copyOnce copies one source to all destinations. Those ends that are open already it is given.
func (j *copyJob) copyOnce(ctx context.Context, given ends) int {
	s := &stream{job: j, total: -1, given: given}
	j.mu.Lock()
	j.last = s
	j.mu.Unlock()
	defer j.running(s)()
	defer s.giveUp()
	s.open(ctx)
	for more := s.ready(); more; more = s.another(ctx) {
		s.move(ctx)
	}
	s.finish(ctx)
	s.tell()
	return s.status()
}

// running adds to what runs, until what it returns is called.
func (j *copyJob) running(r shown) (over func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.runs = append(j.runs, r)
	r.setSpeed(j.speed) // which somebody may have changed since the options of its transfers were made
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.runs = slices.DeleteFunc(j.runs, func(one shown) bool { return one == r })
	}
}

// setSpeed changes the rate limit of what runs, and of what will.
func (j *copyJob) setSpeed(bytesPerSecond int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.speed = bytesPerSecond
	for _, r := range j.runs {
		r.setSpeed(bytesPerSecond)
	}
}

// options are those of every transfer.
func (j *copyJob) options() []penstock.Option {
	j.mu.Lock()
	opts := []penstock.Option{penstock.WithRate(j.speed)}
	j.mu.Unlock()
	if j.idle > 0 && !j.both {
		opts = append(opts, penstock.WithIdleTimeout(j.idle))
	}
	if j.pipeSize > 0 {
		opts = append(opts, penstock.WithPipeSize(int(j.pipeSize)))
	}
	if j.noSplice {
		opts = append(opts, penstock.WithoutSplice())
	}
	if j.stable {
		opts = append(opts, penstock.WithStable())
	}
	return opts
}

// config is what opening an address needs of the copy.
func (j *copyJob) config() address.Config {
	return address.Config{Say: func(text string) { j.say("%s", text) }}
}

// pipes is how large the pipes are to be that bulk goes through, those of others included.
func (j *copyJob) pipes() int {
	if j.pipeSize > 0 {
		return int(j.pipeSize)
	}
	return 1 << 20
}

// grace is how long what is in flight may take to arrive after an interruption.
const grace = 5 * time.Second
