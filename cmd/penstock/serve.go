package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/live"
)

// serveFlags is the command line of serve as it was given.
type serveFlags struct {
	listen    string
	streams   []string
	demo      bool
	onSlow    string
	ring      size
	logFormat string
	logLevel  string
	config    live.Config
}

// demoStream is the name that --demo publishes under.
const demoStream = "demo"

func newServe() *cobra.Command {
	f := serveFlags{ring: hub.DefaultRing}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve live streams: each recorded, and watched by any number of viewers",
		Long: `Serve live streams: each recorded, and watched by any number of viewers.

  publish   curl -T FILE http://HOST:PORT/live/NAME              PUT or POST, with a length or chunked
            ffmpeg -re -i FILE -c copy -f mpegts tcp://HOST:PORT to a --stream NAME=tcp-listen://HOST:PORT
  watch     ffplay http://HOST:PORT/live/NAME                    curl, mpv, VLC, a browser
  look      http://HOST:PORT/                                    who publishes, who watches, which way the bytes go

A publisher that goes away leaves its viewers connected for --grace. SIGTERM and Ctrl-C finish what is in flight,
for at most --drain, and exit with 0.`,
		Example: `  penstock serve --demo
  penstock serve --record recordings --stream cam=tcp-listen://127.0.0.1:9000`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), &f, cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "HTTP address")
	flags.StringVar(&f.config.Record, "record", "", "record every stream to `DIR`/NAME/<UTC start time>.<ext>")
	flags.StringArrayVar(&f.streams, "stream", nil, "accept publishers by TCP: `NAME=tcp-listen://HOST:PORT` (repeatable)")
	flags.BoolVar(&f.demo, "demo", false, "publish a built-in test card as stream \""+demoStream+"\"")
	flags.DurationVar(&f.config.Grace, "grace", live.DefaultGrace, "how long viewers wait for a publisher to return")
	flags.DurationVar(&f.config.Drain, "drain", live.DefaultDrain, "how long a shutdown waits for what is in flight")
	flags.StringVar(&f.onSlow, "on-slow", "disconnect", "slow viewers: `disconnect` them when they fall off the ring, or block the publisher (block)")
	flags.Var(&f.ring, "ring", "`SIZE` of stream that a viewer may be behind, for example 64MiB")
	flags.BoolVar(&f.config.NoSplice, "no-splice", false, "move bytes through this process's memory only")
	flags.StringVar(&f.logFormat, "log-format", "text", "`text` or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	complete(cmd, "on-slow", "disconnect", "block")
	complete(cmd, "log-format", "text", "json")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
	if err := cmd.MarkFlagDirname("record"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// complete offers a flag's values to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is defined where this is called
	}
}

// publisher is one --stream.
type publisher struct {
	name string
	addr address.Address
}

// check turns the flags into what they mean; its errors are usage errors.
func (f *serveFlags) check(stderr io.Writer) (publishers []publisher, err error) {
	defer func() {
		if err != nil {
			err = &usageError{err}
		}
	}()
	if err := address.CheckHostPort(f.listen); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	names := make(map[string]bool)
	for _, s := range f.streams {
		name, addr, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("--stream %q: want NAME=tcp-listen://HOST:PORT", s)
		}
		if err := live.CheckName(name); err != nil {
			return nil, fmt.Errorf("--stream: %w", err)
		}
		a, err := address.Parse(addr)
		if err != nil {
			return nil, fmt.Errorf("--stream %s: %w", name, err)
		}
		publishers = append(publishers, publisher{name, a})
		names[name] = true
	}
	if f.demo && names[demoStream] {
		return nil, fmt.Errorf("--demo and --stream both publish %q", demoStream)
	}
	switch f.onSlow {
	case "disconnect":
		f.config.OnSlow = hub.Disconnect
	case "block":
		f.config.OnSlow = hub.Block
	default:
		return nil, fmt.Errorf("--on-slow %q: want disconnect or block", f.onSlow)
	}
	for _, d := range []struct {
		flag string
		d    time.Duration
	}{{"grace", f.config.Grace}, {"drain", f.config.Drain}} {
		if d.d < 0 {
			return nil, fmt.Errorf("--%s %v: want no less than 0", d.flag, d.d)
		}
	}
	f.config.Ring = int64(f.ring)
	f.config.Log, err = newLog(stderr, f.logFormat, f.logLevel)
	return publishers, err
}

func newLog(w io.Writer, format, level string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	opts.Level = l
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	default:
		return nil, fmt.Errorf("--log-format %q: want text or json", format)
	}
}

// serve opens everything before it begins anything, so that a mistake leaves nothing half done.
func serve(ctx context.Context, f *serveFlags, stderr io.Writer) (err error) {
	publishers, err := f.check(stderr)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return listenError("--listen", f.listen, err)
	}
	listeners := []net.Listener{l}
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for _, p := range publishers {
		l, err := net.Listen("tcp", p.addr.HostPort)
		if err != nil {
			return listenError("--stream "+p.name, p.addr.HostPort, err)
		}
		listeners = append(listeners, l)
	}
	s, err := live.New(f.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for i, p := range publishers {
		f.config.Log.Info("accepting publishers", "stream", p.name, "address", listeners[i+1].Addr().String())
		if err := s.ListenTCP(p.name, listeners[i+1]); err != nil {
			return err
		}
	}
	if f.demo {
		if err := s.StartDemo(demoStream); err != nil {
			return err
		}
	}
	f.config.Log.Info("serving", "url", "http://"+l.Addr().String()+"/")
	return s.Serve(ctx, l)
}

// listenError says which address could not be listened on and why, in one line.
func listenError(flag, addr string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%s: cannot listen on %s: %w", flag, addr, err)
}
