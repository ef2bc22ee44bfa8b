package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/internal/manual"
)

// copyFlags is the command line of copy as it was given.
type copyFlags struct {
	outputs []string
	both    bool

	show showFlags

	rate, limit, skip bound
	stopAtSize        bool
	buffer            size
	startAbove        percent
	refillBelow       percent
	pipeSize          size
	stable, noSplice  bool
	idle, timeout     time.Duration

	sum          string
	resume       bool
	saveInFlight string
	outputError  string
	remote       int
}

// The statuses of copy besides exitFailed and exitUsage.
const (
	exitSource       = 3
	exitDestinations = 4
	exitSome         = 5
	exitSignalled    = 128 // and the signal's number
)

const copyStatus = `
  0    Everything has arrived.
  1    Something that is none of the following.
  2    The command line was wrong; nothing has been done.
  3    The source failed, or could not be opened. What came before that has been delivered.
  4    The destination failed, or all of several did, or it could not be opened.
  5    Some destinations failed. The others have everything.
  130  Interrupted by Ctrl-C (SIGINT), after what was in flight had been delivered; 143 by SIGTERM, 129 by SIGHUP.`

func newCopy() *cobra.Command {
	f := copyFlags{outputError: "warn"}
	cmd := &cobra.Command{
		Use:   "copy SOURCE DESTINATION [-o DESTINATION]...",
		Short: "Copy a byte stream from one source to one or more destinations",
		Long: `Copy a byte stream from one source to one or more destinations, by the fastest way that the two allow, and say which
side it was if something fails. Where the kernel can, no byte passes through this process.

SOURCE and DESTINATION are addresses:
  -                       standard input, standard output
  PATH, file:PATH         a file or a device; ?append, ?offset=SIZE, ?direct, ?sync, ?excl, ?mode=0644
  fd:N, fifo:PATH         a descriptor that is open, a FIFO
  HOST:PORT, tcp://       a connection; ?retry=5s, ?timeout=2s, ?sndbuf=, ?rcvbuf=, ?bind=, ?keepalive=
  tcp-listen://:PORT      a connection that somebody else makes; ?accept=N, one after another, or ?fork, at once
  unix:PATH, unix-listen:PATH
  tls://, tls-listen://   with TLS; ?ca=, ?cert=, ?key=, ?insecure, ?servername=
  udp://, udp-listen://   datagrams, multicast too; ?packet=N, ?ttl=, ?interface=
  http://, https://       GET; to a destination PUT; ?header=Name:Value
  exec:COMMAND            what a command writes, or reads; exec?terminal: for one that asks the user something
  null:, zero:, random:   nothing, zeros, random bytes

Every destination but the only one may say ?on-slow=block, which is the default: the source waits for it, and so do all
others; skip: what it has no room for in its --buffer is dropped, and counted; or disconnect: it is given up then. A
destination that fails cuts no other short, unless --output-error says so.

On a terminal, or with -f, a line for each destination on stderr says how it gets on, and if it does not, which side holds
it up. SIGUSR1 prints that at any time. Ctrl-C ends the copy after what is in flight has been delivered.

SIZE is in bytes, or with K, M, G, T (of 1024) or kB, MB, GB (of 1000). A process is told how it went by the exit status:
0 all has arrived, 2 usage, 3 the source failed, 4 the destination did, 5 some destinations did, 130 interrupted.`,
		Example: `  tar cf - tree | penstock copy - tcp://backup:9000              # send a tree
  penstock copy tcp-listen://:9000 tree.tar -o 'exec:tar tf -'   # receive, keep, and list it on the way
  penstock copy -L 10M --sum sha256 disk.img /dev/sdb            # at 10 MiB/s, with a checksum and a progress bar
  penstock copy --resume http://host/big.iso big.iso             # go on where it was cut
  penstock copy --both - tls://host:443                          # talk to a server`,
		Annotations: map[string]string{manual.ExitStatus: copyStatus},
		Args:        usageArgs(f.checkArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.remote != 0 {
				return changeRunning(cmd.Context(), &f, cmd)
			}
			job, err := f.job(cmd, args)
			if err != nil {
				return &usageError{err}
			}
			return job.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, "one more destination: `ADDRESS` (repeatable)")
	flags.BoolVar(&f.both, "both", false, "copy back, too: what comes from DESTINATION goes to SOURCE")
	flags.VarP(&f.rate, "rate-limit", "L", "hold it to `SIZE` per second; 0 is no limit")
	flags.Var(&f.limit, "limit", "end after `SIZE`")
	flags.BoolVarP(&f.stopAtSize, "stop-at-size", "S", false, "end after what --size says")
	flags.Var(&f.skip, "skip", "begin `SIZE` into the source")
	flags.StringVar(&f.sum, "sum", "",
		"say the checksum of what passed: `ALGO` is md5, sha1, sha256, sha512 or crc32; ALGO:FILE writes it there")
	flags.BoolVar(&f.resume, "resume", false, "go on behind what is in the destination, which is a file, already")
	flags.StringVar(&f.outputError, "output-error", f.outputError,
		"`MODE` when a destination fails: warn, and go on with the others; exit; warn-nopipe or exit-nopipe: likewise, but a pipe\nwhose reader has gone is no error")
	flags.StringVar(&f.saveInFlight, "save-in-flight", "",
		"write to `FILE` what had been read when a destination failed, and did not reach it")
	flags.DurationVar(&f.idle, "idle", 0, "fail when nothing has moved for `TIME`; 0 is never")
	flags.DurationVar(&f.timeout, "timeout", 0, "fail when it is not done after `TIME`, such as 90s; 0 is never")
	flags.VarP(&f.buffer, "buffer", "B",
		"keep up to `SIZE` between the source and each destination, so that neither waits for the other's hiccups")
	flags.Var(&f.startAbove, "start-above",
		"with --buffer: begin to write once it is so full, in `PERCENT`, each time it has been empty")
	flags.Var(&f.refillBelow, "refill-below",
		"with --buffer: once it has been full, read on when it is down to `PERCENT`")
	flags.Var(&f.pipeSize, "pipe-size",
		"`SIZE` of the kernel pipe that bulk goes through; 1MiB if there is one to be had")
	flags.BoolVar(&f.stable, "stable", false,
		"deliver what the source held when it was read, even if somebody writes to it meanwhile")
	flags.BoolVarP(&f.noSplice, "no-splice", "C", false, "move bytes through this process's memory only")
	f.show.define(flags)
	flags.IntVarP(&f.remote, "remote", "R", 0,
		"change the copy that runs as `PID`, to what -L, -s, -N, -i of this command line say")
	complete(cmd, "output-error", outputErrors...)
	complete(cmd, "sum", sums()...)
	return cmd
}
