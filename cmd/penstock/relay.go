package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/internal/manual"
	"github.com/penstock-io/penstock/internal/relays"
)

// relayFlags is the command line of relay as it was given.
type relayFlags struct {
	args         []string
	settings     map[string]*relaySetting
	file         string
	check        bool
	http         string
	access       string
	accessFormat string
	drain        string
	logFormat    string
	logLevel     string
	given        func(flag string) bool // tells whether a flag was
}

const relayStatus = `
  0    It was ended by SIGTERM or Ctrl-C, and so is what was open then. With --check: all is well.
  1    It could not listen, or open what it needs.
  2    The command line, or the file, was wrong; nothing has been done.
  130  Ended at once by a second Ctrl-C (SIGINT); 143 by a second SIGTERM.`

func newRelay() *cobra.Command {
	f := relayFlags{settings: make(map[string]*relaySetting)}
	cmd := &cobra.Command{
		Use:   "relay {LISTEN TARGET... | -c FILE}",
		Short: "Forward connections to targets, with a copy for whoever wants to look",
		Long: `Forward connections to targets, with a copy for whoever wants to look. Where the kernel can, no byte passes
through this process, and neither limits, timeouts nor mirrors change that.

LISTEN is where clients connect:
  tcp-listen://:PORT      ?reuseport, ?sndbuf=, ?rcvbuf=
  unix-listen:PATH        ?mode=0660
  tls-listen://:PORT      with TLS; ?cert=, ?key=, ?ca= (whose clients are let in), ?alpn=

TARGET is whom they are forwarded to. Of several, each gets its turn; one that cannot be connected to is passed over
until it can be again:
  tcp://HOST:PORT, HOST:PORT, unix:PATH
  tls://HOST:PORT         with TLS; ?ca=, ?cert=, ?key=, ?insecure, ?servername=, ?alpn=

A --mirror gets a copy of what goes through, byte for byte. It never holds up a connection: what it has no room for it
lacks, which is counted and logged:
  file:PATH               a file for each connection: %c is its number, %d the direction, %t when it began, %n the
                          relay's name, %a the client's address
  capture:PATH            both directions in one file, with times: for penstock replay
  tcp://, unix:, tls://   somebody who only listens: answers are dropped
  exec:COMMAND, null:     a command's standard input; nobody
Each may say ?direction=forward, which is the default of all but capture, backward or both; ?ratio=0.1, of the
connections; ?max=1MiB, of each direction of each; ?queue=4MiB, that it may be behind (8MiB, of file 1MiB); ?on-slow=
disconnect or skip. The former ends a connection's copy where it would have a gap, behind which who speaks a protocol
would take data for commands; the latter, which is the default of file alone, goes on behind it. Options of exec stand
before its colon; of its command logs and the page tell only the program's name.

-c takes any number of relays from a file in YAML, whose keys are called as the flags are here, but for lists: targets,
mirrors; docs/relay.example.yaml has them all. SIGHUP has it read again, as does a change of it. Connections go on, also
those of relays that are gone; what is wrong with it is said, with its place, and changes nothing. Certificates are read
again, and a new --access-log is begun.

For each connection that is over there is a line in the --access-log. Of the two letters in it the first says who
ended it (- nobody, C client, S server, P a limit, R no resources, K killed, D drained, c or s timed out), the second
when (R before anything was forwarded, C while connecting, D while bytes moved, - at the end).

SIGTERM and Ctrl-C accept no more, wait for connections for as long as --drain, and end those that are left.`,
		Example: `  penstock relay tcp-listen://:5432 tcp://db:5432 --mirror 'file:/var/log/%c.bin' --mirror tcp://shadow:5432
  penstock relay tls-listen://:443?cert=site.pem unix:/run/app.sock --max-per-source 50 --http 127.0.0.1:8081
  penstock relay -c relay.yaml --check && penstock relay -c relay.yaml`,
		Annotations: map[string]string{manual.ExitStatus: relayStatus},
		Args:        usageArgs(f.checkArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.args, f.given = args, cmd.Flags().Changed
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.file, "config", "c", "", "take relays from `FILE`, and follow its changes")
	flags.BoolVar(&f.check, "check", false, "say what is wrong with the command line and the file, and do nothing else")
	for i := range relays.Settings {
		f.define(cmd, &relays.Settings[i])
	}
	flags.StringVar(&f.access, "access-log", "-",
		"write a line for each connection that is over to `FILE`; - is stdout, none is nowhere")
	flags.StringVar(&f.accessFormat, "access-format", "text", "of that: `text`, or json, in which times are in seconds")
	flags.StringVar(&f.http, "http", "", "tell of relays by HTTP at `HOST:PORT`: a page, /metrics, /api/v1/relays,\n"+
		"/api/v1/connections, /healthz. Whoever gets there can end connections.\n"+
		"On loopback it answers to localhost, addresses and this HOST only")
	flags.StringVar(&f.drain, "drain", relays.DefaultDrain.String(),
		"how long a shutdown waits for connections to end by themselves: `DURATION`")
	flags.StringVar(&f.logFormat, "log-format", "text", "`text` or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	complete(cmd, "access-format", "text", "json")
	complete(cmd, "log-format", "text", "json")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
	if err := errors.Join(cmd.MarkFlagFilename("config", "yaml", "yml"), cmd.MarkFlagFilename("access-log")); err != nil {
		panic(err) // the flags are defined above
	}
	return cmd
}

// relaySetting is the flag of a relays.Setting: what was written, to be read when all is known.
type relaySetting struct {
	*relays.Setting
	texts []string
}

func (s *relaySetting) Set(text string) error {
	if !s.List {
		s.texts = nil
	}
	s.texts = append(s.texts, text)
	return nil
}
func (s *relaySetting) String() string { return "" }

func (s *relaySetting) Type() string {
	if s.Kind == "" {
		return "bool"
	}
	return s.Kind
}

// define makes a setting a flag.
func (f *relayFlags) define(cmd *cobra.Command, of *relays.Setting) {
	s := &relaySetting{Setting: of}
	f.settings[of.Name] = s
	flag := cmd.Flags().VarPF(s, of.Name, "", of.Usage)
	if of.Kind == "" {
		flag.NoOptDefVal = "true"
	}
	if of.Words != nil {
		complete(cmd, of.Name, of.Words...)
	}
}

func (f *relayFlags) checkArgs(cmd *cobra.Command, args []string) error {
	if f.file == "" {
		if len(args) < 2 {
			return errors.New("want where to listen and a target, or -c FILE")
		}
		return nil
	}
	if len(args) > 0 {
		return fmt.Errorf("%q: does not go with --config, whose file says it", args[0])
	}
	var err error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if f.settings[flag.Name] != nil && err == nil {
			err = fmt.Errorf("--%s: does not go with --config, whose file says it", flag.Name)
		}
	})
	return err
}

// load reads what is said of the relays. What is said on the command line of the whole goes before what the file says.
func (f *relayFlags) load() (c relays.Config, err error) {
	if f.file != "" {
		c, err = relays.ReadFile(f.file)
	} else {
		texts := make(map[string][]string)
		for name, s := range f.settings {
			texts[name] = s.texts
		}
		var one relays.Relay
		one, err = relays.FromFlags(f.args[0], f.args[1:], texts)
		c.Relays = []relays.Relay{one}
	}
	errs := []error{err}
	for _, flag := range []struct{ name, text string }{
		{"http", f.http}, {"access-log", f.access}, {"access-format", f.accessFormat}, {"drain", f.drain},
	} {
		if f.file != "" && !f.given(flag.name) || flag.text == "" {
			continue
		}
		if err := c.Set(flag.name, flag.text); err != nil {
			if errors.As(err, new(*address.Error)) { // which has the text
				err = fmt.Errorf("--%s: %w", flag.name, err)
			} else {
				err = fmt.Errorf("--%s %q: %w", flag.name, flag.text, err)
			}
			errs = append(errs, err)
		}
	}
	return c, errors.Join(errs...)
}

// run relays until it is ended, or checks.
func (f *relayFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	log, err := newLog(stderr, f.logFormat, f.logLevel)
	if err != nil {
		return &usageError{err}
	}
	from := relays.Source{Load: f.load, File: f.file}
	c, err := from.Begin(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return sayEach(stderr, err)
	}
	if f.check {
		fmt.Fprintf(stdout, "all is well: %d relay%s\n", len(c.Relays), plural(len(c.Relays)))
		return nil
	}
	// If whoever reads the access log or the log goes away, that is no reason to end connections, and the runtime would
	// end the process. Not ignored but taken: what is ignored, the commands of exec: would inherit.
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	defer signal.Stop(unread)
	log, finish := relays.Aside(log.Handler())
	defer finish()
	again, stop := hangups()
	defer stop()
	from.Again = again
	return relays.NewSet(log, stdout).Run(ctx, from)
}

// hangups returns the SIGHUPs that come until stop is called.
func hangups() (again <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// sayEach says all that is wrong with settings of relays, which is a usage error.
func sayEach(stderr io.Writer, err error) error {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(stderr, "penstock:", line)
	}
	return &statusError{exitUsage}
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
