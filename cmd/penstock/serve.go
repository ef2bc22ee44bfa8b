package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/internal/manual"
	"github.com/penstock-io/penstock/live"
	"github.com/penstock-io/penstock/recording"
)

// serveFlags is the command line of serve as it was given.
type serveFlags struct {
	listen    string
	streams   []string
	demo      bool
	relays    string
	onSlow    string
	onPublish string
	fsync     string
	filler    string
	fillRate  bound
	segment   bound
	slowBytes bound
	memory    bound
	ring      size
	logFormat string
	logLevel  string
	config    live.Config
}

// demoStream is the name that --demo publishes under.
const demoStream = "demo"

func newServe() *cobra.Command {
	f := serveFlags{ring: hub.DefaultRing, memory: defaultMemory()}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve live streams: each recorded, and watched by any number of viewers",
		Long: `Serve live streams: each recorded, and watched by any number of viewers.

Publish by PUT or POST, with a length or chunked, or by TCP to a --stream NAME=tcp-listen://HOST:PORT:

  curl -T FILE http://HOST:PORT/live/NAME
  ffmpeg -re -i FILE -c copy -f mpegts tcp://HOST:PORT

Watch with curl, ffplay, mpv, VLC or a browser; the server's page tells who publishes, who watches, and which way the bytes
go:

  ffplay http://HOST:PORT/live/NAME
  xdg-open http://HOST:PORT/

A publisher that goes away leaves its viewers connected for --grace. Meanwhile they, and the recording, get --filler over
and over, if there is one: a file of MPEG-TS or multipart pictures, such as the stream itself is. SIGTERM and Ctrl-C
finish what is in flight, for at most --drain, and exit with 0.

--on-slow says what becomes of a viewer that has fallen --ring behind (or --slow-bytes, --slow-time):
  catchup     it goes on from the recording, and misses nothing; beyond --slow-bytes or --slow-time it is cut
  skip        it goes to the newest place where the stream may be joined: the next key frame or picture
  disconnect  it is cut
  block       the publisher waits for it
  auto        catchup with --record, else skip where the stream has such places, else disconnect

--relay-config runs the relays of a file in the same process, as penstock relay -c does: the page, /metrics, /healthz,
/api/v1/relays and /api/v1/connections tell of them, too. Who watches a stream gets to these, so there they end no
connections: that is for who gets to the http of the file.`,
		Example: `  penstock serve --demo
  penstock serve --record recordings --stream cam=tcp-listen://127.0.0.1:9000`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), &f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "HTTP address")
	flags.StringArrayVar(&f.config.Hosts, "host", nil, "`NAME` that the server may be asked for by on loopback, besides localhost and\n"+
		"addresses: of a proxy in front. Others may be of pages that want to be taken for its own (repeatable)")
	flags.StringVar(&f.config.Record, "record", "", "record every stream to `DIR`/NAME/<UTC start time>.<ext>")
	flags.StringArrayVar(&f.streams, "stream", nil, "accept publishers by TCP: `NAME=tcp-listen://HOST:PORT` (repeatable)")
	flags.Var(&f.segment, "segment-size", "begin another file of the recording after `SIZE`, at the next key frame; 0 never")
	flags.DurationVar(&f.config.SegmentTime, "segment-time", 0, "begin another file of the recording after this time; 0 never")
	flags.StringVar(&f.fsync, "fsync", "never", "force the recording to the disk: `never`, at each segment's end (segment), or every so often (a duration)")
	flags.BoolVar(&f.demo, "demo", false, "publish a built-in test card as stream \""+demoStream+"\"")
	flags.StringVar(&f.relays, "relay-config", "", "forward connections besides, as penstock relay -c `FILE` does, on the same page")
	flags.DurationVar(&f.config.Grace, "grace", live.DefaultGrace, "how long viewers wait for a publisher to return")
	flags.StringVar(&f.filler, "filler", "", "`FILE` that viewers are shown while they wait for a publisher")
	flags.Var(&f.fillRate, "filler-rate", "`SIZE` of it to show in a second; 0 is by its clock, which MPEG-TS has")
	flags.DurationVar(&f.config.Drain, "drain", live.DefaultDrain, "how long a shutdown waits for what is in flight")
	flags.StringVar(&f.onPublish, "on-publish", "refuse", "a second publisher of a stream: `refuse` it, or let it take the stream over (takeover)")
	flags.StringVar(&f.onSlow, "on-slow", "auto", "slow viewers: `auto`, catchup, skip, disconnect or block")
	flags.Var(&f.ring, "ring", "`SIZE` of stream that a viewer may be behind in memory, for example 64MiB")
	flags.Var(&f.slowBytes, "slow-bytes", "`SIZE` that a viewer may be behind at most; 0 is no limit but the ring")
	flags.DurationVar(&f.config.Limits.Time, "slow-time", 0, "how long a viewer may be behind at most; 0 is no limit but the ring")
	flags.DurationVar(&f.config.Limits.Stall, "stall", live.DefaultStall, "how long a viewer may take nothing at all, paused or dead; 0 is forever")
	flags.Var(&f.memory, "memory", "`SIZE` that all streams together keep in memory for their viewers; 0 is no limit")
	flags.IntVar(&f.config.MaxViewers, "max-viewers", 0, "viewers of all streams at a time; 0 is no limit")
	flags.BoolVar(&f.config.NoSplice, "no-splice", false, "move bytes through this process's memory only")
	flags.StringVar(&f.logFormat, "log-format", "text", "`text` or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	complete(cmd, "on-slow", slices.Sorted(maps.Keys(policies))...)
	complete(cmd, "on-publish", "refuse", "takeover")
	complete(cmd, "fsync", "never", "segment", "1s")
	complete(cmd, "log-format", "text", "json")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
	ofMachine := []string{"a quarter of the machine's, " + bytesOf(mostMemory) + " at most"}
	if err := errors.Join(cmd.MarkFlagDirname("record"), cmd.MarkFlagFilename("filler"),
		cmd.MarkFlagFilename("relay-config", "yaml", "yml"),
		flags.SetAnnotation("memory", manual.Default, ofMachine)); err != nil {
		panic(err) // the flags are defined above
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
	host, _, _ := net.SplitHostPort(f.listen)
	f.config.Hosts = append(f.config.Hosts, host)
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
		if err := checkPublisher(a); err != nil {
			return nil, fmt.Errorf("--stream %s: %w", name, err)
		}
		publishers = append(publishers, publisher{name, a})
		names[name] = true
	}
	if f.demo && names[demoStream] {
		return nil, fmt.Errorf("--demo and --stream both publish %q", demoStream)
	}
	policy, ok := policies[f.onSlow]
	if !ok {
		return nil, fmt.Errorf("--on-slow %q: want auto, catchup, skip, disconnect or block", f.onSlow)
	}
	if policy == hub.CatchUp && f.config.Record == "" {
		return nil, errors.New("--on-slow catchup: needs --record, which is what a viewer catches up from")
	}
	f.config.OnSlow = policy
	if f.onPublish != "refuse" && f.onPublish != "takeover" {
		return nil, fmt.Errorf("--on-publish %q: want refuse or takeover", f.onPublish)
	}
	f.config.TakeOver = f.onPublish == "takeover"
	if f.config.Sync, err = parseSync(f.fsync); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		flag string
		d    time.Duration
	}{
		{"grace", f.config.Grace},
		{"drain", f.config.Drain},
		{"segment-time", f.config.SegmentTime},
		{"slow-time", f.config.Limits.Time},
		{"stall", f.config.Limits.Stall},
	} {
		if d.d < 0 {
			return nil, fmt.Errorf("--%s %v: want no less than 0", d.flag, d.d)
		}
	}
	if err := f.checkRecord(); err != nil {
		return nil, err
	}
	if f.config.MaxViewers < 0 {
		return nil, fmt.Errorf("--max-viewers %d: want no less than 0", f.config.MaxViewers)
	}
	f.config.SegmentBytes, f.config.Limits.Bytes, f.config.Memory = int64(f.segment), int64(f.slowBytes), int64(f.memory)
	f.config.Ring = int64(f.ring)
	if f.config.Log, err = newLog(stderr, f.logFormat, f.logLevel); err != nil {
		return nil, err
	}
	return publishers, f.openFiller()
}

// checkPublisher refuses what is no place for publishers to connect to.
func checkPublisher(a address.Address) error {
	if a.Scheme != address.TCPListen {
		return &address.Error{Address: a.String(), Part: fmt.Sprintf("scheme %q", string(a.Scheme)), Err: errors.New("want tcp-listen")}
	}
	if bare := (address.Address{Scheme: a.Scheme, HostPort: a.HostPort}); a.String() != bare.String() {
		return &address.Error{Address: a.String(), Part: "options", Err: errors.New("want none")}
	}
	return nil
}

// checkRecord refuses what would say something of a recording where there is none.
func (f *serveFlags) checkRecord() error {
	if f.config.Record != "" {
		return nil
	}
	switch {
	case f.segment > 0:
		return errors.New("--segment-size: needs --record")
	case f.config.SegmentTime > 0:
		return errors.New("--segment-time: needs --record")
	case f.config.Sync != 0:
		return errors.New("--fsync: needs --record")
	}
	return nil
}

// openFiller opens --filler, which serve closes.
func (f *serveFlags) openFiller() (err error) {
	if f.filler == "" {
		if f.fillRate > 0 {
			return errors.New("--filler-rate: needs --filler")
		}
		return nil
	}
	f.config.Filler, err = live.OpenFiller(f.filler, int64(f.fillRate))
	if errors.Is(err, live.ErrNoRate) {
		return fmt.Errorf("--filler: %w: needs --filler-rate", err)
	}
	if err != nil {
		return fmt.Errorf("--filler: %w", err)
	}
	return nil
}

// policies are the values of --on-slow.
var policies = map[string]hub.Policy{
	"auto": hub.Auto, "catchup": hub.CatchUp, "skip": hub.Skip, "disconnect": hub.Disconnect, "block": hub.Block,
}

// parseSync turns --fsync into a live.Config.Sync.
func parseSync(text string) (time.Duration, error) {
	switch text {
	case "never":
		return 0, nil
	case "segment":
		return recording.SyncAtEnd, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--fsync %q: want never, segment, or a duration such as 1s", text)
	}
	return d, nil
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
func serve(ctx context.Context, f *serveFlags, stdout, stderr io.Writer) (err error) {
	publishers, err := f.check(stderr)
	if err != nil {
		return err
	}
	if filler := f.config.Filler; filler != nil {
		defer filler.Close()
		size, takes := filler.Round()
		f.config.Log.Info("filler", "file", f.filler, "bytes", size, "seconds", takes.Seconds())
	}
	beside, err := f.relaysBeside(ctx, stdout, stderr)
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
	if beside != nil {
		stop, err := beside.begin(ctx)
		if err != nil {
			return err
		}
		defer stop()
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
