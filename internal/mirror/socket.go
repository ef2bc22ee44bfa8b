package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/relay"
)

// How long a mirror may take to be connected to, unless its address says so, and to have what was sent to it, or, of a
// command, to end, once the connection is over.
const (
	connectTimeout = 5 * time.Second
	finishTimeout  = 10 * time.Second
)

// mostFinishing is how many connections of a mirror are kept at a time until the peer has taken the rest: a peer that
// reads nothing, or keeps what it has read to the end, is not to have the descriptors that the relay's own need. Commands
// beyond it have crowdedTimeout to end: else those that ignore their input's end would be more and more processes.
const (
	mostFinishing  = 64
	crowdedTimeout = time.Second
)

// toAddress makes a mirror of what package address opens: one of each direction of each connection.
func toAddress(m *relay.Mirror, text, others string) error {
	scheme, rest, _ := strings.Cut(text, ":")
	switch {
	case others == "":
	case scheme == "exec":
		text = scheme + "?" + others + ":" + rest
	default:
		text += "?" + others
	}
	a, err := address.Parse(text)
	if err == nil {
		err = a.Check(address.Destination)
	}
	if err != nil {
		return nameless(err)
	}
	if a.Scheme != address.Exec {
		a.Options.Timeout = cmp.Or(a.Options.Timeout, connectTimeout)
	}
	finishing := make(chan struct{}, mostFinishing)
	m.Open = func(ctx context.Context, c relay.Info, d relay.Direction) (io.WriteCloser, error) {
		a := a
		if a.Scheme == address.Exec {
			a.Command = environment(c, d) + a.Command
		}
		end, err := a.Open(ctx, address.Destination, address.Config{})
		if err != nil {
			return nil, nameless(err)
		}
		w := end.Writer.(io.WriteCloser) // a file or a connection
		ctx, abandon := context.WithCancelCause(context.Background())
		return &abandonable{bared{w, receive(ctx, end, finishing)}, func() { abandon(errAbandoned) }}, nil
	}
	return nil
}

// nameless takes the address off an error: it is of a mirror that is named beside it, and of a command it tells all.
func nameless(err error) error {
	var ae *address.Error
	switch {
	case !errors.As(err, &ae):
		return err
	case ae.Part != "":
		return fmt.Errorf("%s: %w", ae.Part, ae.Err)
	default:
		return ae.Err
	}
}

// environment tells a command which connection it is about.
func environment(c relay.Info, d relay.Direction) string {
	var b strings.Builder
	b.WriteString("export")
	for _, v := range []struct{ name, value string }{
		{"CONNECTION", fmt.Sprint(c.ID)},
		{"DIRECTION", d.String()},
		{"RELAY", c.Relay},
		{"FROM", addressText(c)},
		{"TARGET", c.Target},
	} {
		fmt.Fprintf(&b, " PENSTOCK_%s='%s'", v.name, strings.ReplaceAll(strings.ReplaceAll(v.value, "\x00", ""), "'", `'\''`))
	}
	return b.String() + "; "
}

func addressText(c relay.Info) string {
	if !c.From.IsValid() {
		return "unix"
	}
	return c.From.String()
}

// abandonable is a sink whose closing ends early if nobody waits for it: a command that goes on would outlive us.
type abandonable struct {
	bared
	abandon func()
}

func (a *abandonable) Abandon() { a.abandon() }

var _ relay.Abandonable = (*abandonable)(nil)

// receive reads and drops what a peer answers: else it would not take any more one day. What it returns ends that, and
// the end, which it waits for until ctx is done, if there is room among those that are finishing. Where there is none a
// connection is closed: the kernel goes on to deliver what it has.
func receive(ctx context.Context, end *address.End, finishing chan struct{}) (finish func() error) {
	over := make(chan struct{})
	conn, is := end.Writer.(net.Conn)
	if is {
		go func() {
			defer close(over)
			_, _ = io.Copy(io.Discard, conn) // its end, or its failure, is for who writes
		}()
	}
	return func() error {
		if is {
			_ = conn.SetReadDeadline(time.Unix(1, 0)) // Finish reads on
			<-over
			_ = conn.SetReadDeadline(time.Time{})
		}
		patience := finishTimeout
		select {
		case finishing <- struct{}{}:
			defer func() { <-finishing }()
		default:
			if is {
				return conn.Close()
			}
			patience = crowdedTimeout
		}
		ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %v", patience))
		defer cancel()
		return nameless(end.Finish(ctx))
	}
}

var errAbandoned = errors.New("the relay is shut down")
