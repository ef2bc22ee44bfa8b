package address

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Config is what an address does not say. The zero value works.
type Config struct {
	Stdin, Stdout *os.File // of "-"; nil is os.Stdin, os.Stdout

	// Say gets one line for people, from the goroutine that opens: "listening on 127.0.0.1:9000", "cannot connect yet:
	// connection refused; trying again". nil is silence.
	Say func(text string)

	// Offset is how many bytes into a source to begin. What cannot begin there begins at its beginning: see End.Skip.
	Offset int64
	// Resume keeps what is in a file that is a destination, and writes behind it: see End.Offset. It means nothing for
	// other kinds.
	Resume bool
}

func (c *Config) say(format string, args ...any) {
	if c.Say != nil {
		c.Say(fmt.Sprintf(format, args...))
	}
}

// Open opens the address, and waits for what has to be waited for until ctx is done. One that listens is listened on
// until one connection has been accepted. Its error is an *Error.
func (a Address) Open(ctx context.Context, role Role, c Config) (*End, error) {
	if err := a.Check(role); err != nil {
		return nil, err
	}
	e, err := a.open(ctx, role, &c)
	if err != nil {
		return nil, a.failed(err)
	}
	e.Address = a
	return e.as(a, role), nil
}

// as says what the end is of, and takes away what its role has not.
func (e *End) as(a Address, role Role) *End {
	e.Address = a
	if !role.reads() {
		e.Reader, e.Size, e.Skip = nil, -1, 0
	}
	if !role.writes() {
		e.Writer, e.Offset = nil, 0
	}
	return e
}

func (a *Address) open(ctx context.Context, role Role, c *Config) (*End, error) {
	if a.Listens() {
		l, err := a.Listen(ctx, role, *c)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		return l.Accept(ctx)
	}
	switch a.Scheme {
	case Stdio:
		return openStdio(role, c)
	case FD:
		return openDescriptor(a.FD, role, c)
	case File:
		return a.openFile(ctx, role, c)
	case FIFO:
		return a.openFIFO(ctx, role, c)
	case Exec:
		return a.openCommand(role, c)
	case Null:
		return openNull(role)
	case Zero:
		return openZero()
	case Random:
		return openRandom(), nil
	default:
		return retried(ctx, &a.Options, c, "connect", func(ctx context.Context) (*End, error) {
			return a.connect(ctx, role, c)
		})
	}
}

// connect is one attempt to open what may be tried again.
func (a *Address) connect(ctx context.Context, role Role, c *Config) (*End, error) {
	switch a.Scheme {
	case TCP, Unix, TLS:
		dial := a.dial
		if a.Scheme == TLS {
			dial = a.dialTLS
		}
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return connected(conn, role, c), nil
	case UDP:
		return a.dialUDP(ctx, c)
	case UDPListen:
		return a.listenUDP(ctx, c)
	case HTTP, HTTPS:
		if role == Source {
			return a.get(ctx, c)
		}
		return a.put(ctx)
	default:
		return nil, errors.ErrUnsupported
	}
}

// How long is waited between two attempts: at first, and at most.
const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = time.Second
)

// retried tries to open something as long as ?retry says, each time as long as ?timeout says; doing says what is tried.
func retried[T any](
	ctx context.Context, o *Options, c *Config, doing string, attempt func(context.Context) (T, error),
) (T, error) {
	until := time.Now().Add(o.Retry)
	for backoff := time.Duration(0); ; {
		v, err := bounded(ctx, o.Timeout, attempt)
		if err == nil || o.Retry == 0 || !worthRetrying(ctx, err) {
			return v, err
		}
		if backoff == 0 {
			_, cause := bare(err)
			c.say("cannot %s yet: %v; trying again", doing, cause)
		}
		backoff = min(max(firstBackoff, 2*backoff), lastBackoff)
		if time.Now().Add(backoff).After(until) {
			return v, err
		}
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return v, context.Cause(ctx)
		}
	}
}

// worthRetrying tells whether the next attempt may fare better: not where ctx is done, or something other than the
// network is wrong.
func worthRetrying(ctx context.Context, err error) bool {
	var final *finalError
	return ctx.Err() == nil && !errors.As(err, &final)
}

// finalError is an error that another attempt does not change.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// bounded makes an attempt that may take d, or as long as ctx if that is 0, and says in its error which of the two
// ended it.
func bounded[T any](ctx context.Context, d time.Duration, attempt func(context.Context) (T, error)) (T, error) {
	within := ctx
	if d > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	v, err := attempt(within)
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return v, context.Cause(ctx)
	case within.Err() != nil:
		return v, &timeoutError{d}
	default:
		return v, err
	}
}

// timeoutError says that ?timeout has run out.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string { return "timed out after " + e.after.String() }
func (e *timeoutError) Timeout() bool { return true }
func (e *timeoutError) Unwrap() error { return os.ErrDeadlineExceeded }

func withOp(op string, err error) error { return fmt.Errorf("%s: %w", op, err) }

// endOf makes an end of something that goes one way or both. A nil reader or writer stands for a half that there is
// not.
func endOf(r io.Reader, w io.Writer, how ending) *End {
	return &End{Reader: r, Writer: w, Size: -1, ending: how}
}
