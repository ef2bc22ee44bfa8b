package address

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// grace is how long a command may take to end after it has been asked to, or has nobody left to write to.
const grace = 2 * time.Second

// openCommand starts the shell with the command. What is not ours to read or write is as it is in the background of a
// shell: standard output and standard error are the process's, standard input is empty.
//
// The command is in a process group of its own. So Ctrl-C at the terminal reaches us alone, and what is in flight can
// still be written to it; and giving up reaches all of a pipeline that the shell made. With ?terminal it stays in ours,
// and has our standard input: that is for a command that asks for a password.
func (a *Address) openCommand(role Role, c *Config) (_ *End, err error) {
	k := &commandEnding{group: !a.Options.Terminal, exited: make(chan struct{})}
	k.cmd = exec.Command("sh", "-c", a.Command)
	k.cmd.Stderr, k.cmd.Stdout = os.Stderr, cmp.Or(c.Stdout, os.Stdout)
	if a.Options.Terminal {
		k.cmd.Stdin = cmp.Or(c.Stdin, os.Stdin)
	}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			k.closePipes()
		}
	}()
	if role.reads() {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		k.out, k.cmd.Stdout = r, w
		theirs = append(theirs, w)
	}
	if role.writes() {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		k.in, k.cmd.Stdin = w, r
		theirs = append(theirs, r)
	}
	if k.group {
		apart(k.cmd)
	}
	if err := k.cmd.Start(); err != nil {
		var notFound *exec.Error
		if errors.As(err, &notFound) {
			return nil, &partError{"sh", notFound.Err}
		}
		return nil, err
	}
	go func() {
		k.status = k.cmd.Wait()
		close(k.exited)
	}()
	e := endOf(k.out, k.in, k)
	e.Skip = c.Offset
	e.Peer = fmt.Sprintf("process %d", k.cmd.Process.Pid)
	return e, nil
}

// commandEnding ends a command.
type commandEnding struct {
	cmd    *exec.Cmd
	group  bool
	in     *os.File // its standard input, ours to write; nil if it is not
	out    *os.File // its standard output, ours to read; nil if it is not
	exited chan struct{}
	status error // once exited is closed
}

func (k *commandEnding) finish(ctx context.Context) error {
	unread := k.stillUnread()
	defer unread.close()
	err := k.closeWrite()
	early := k.out != nil && !atEnd(k.out)
	k.closePipes()
	var patience <-chan time.Time
	if early {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-k.exited:
	case <-patience: // it has more to say, and does not try to
		k.end()
		return err
	case <-ctx.Done():
		k.end()
		return firstOf(err, withOp("waiting for the command to end", context.Cause(ctx)))
	}
	switch n := unread.bytes(); {
	case early && nobodyRead(k.status):
		return err
	case k.status != nil:
		return k.status
	case n > 0:
		return &unreadError{n}
	default:
		return err
	}
}

// unreadError says that a command ended well, but did not take all it was given. It is an EPIPE that came too late for
// a write.
type unreadError struct{ n int }

func (e *unreadError) Error() string {
	return fmt.Sprintf("the command ended without reading the last %d bytes", e.n)
}
func (e *unreadError) Unwrap() error { return syscall.EPIPE }

// atEnd tells whether a pipe has ended, without waiting for it.
func atEnd(f *os.File) bool {
	if f.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return true // no telling
	}
	_, err := f.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// nobodyRead tells the status of a command that had nobody to write to: its own, or its shell's for it.
func nobodyRead(status error) bool {
	var exit *exec.ExitError
	if !errors.As(status, &exit) {
		return false
	}
	w, ok := exit.Sys().(interface{ Signal() syscall.Signal })
	return ok && w.Signal() == syscall.SIGPIPE || exit.ExitCode() == 128+int(syscall.SIGPIPE)
}

// closeWrite is the end of the command's standard input.
func (k *commandEnding) closeWrite() error {
	if k.in == nil {
		return nil
	}
	return (&fileEnding{file: k.in}).close()
}

func (k *commandEnding) closePipes() {
	for _, f := range []*os.File{k.in, k.out} {
		if f != nil {
			f.Close()
		}
	}
}

// giveUp leaves its standard input open until the command has ended, since an end would be a false one. One that has
// just ended by itself is why there is something to give up.
func (k *commandEnding) giveUp() error {
	defer k.closePipes()
	timer := time.NewTimer(grace / 20)
	defer timer.Stop()
	select {
	case <-k.exited:
		if k.out != nil && nobodyRead(k.status) {
			return nil
		}
		return k.status
	case <-timer.C:
		k.end()
		return nil
	}
}

// end ends the command: with SIGTERM, and if that takes too long with SIGKILL.
func (k *commandEnding) end() {
	k.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-k.exited:
	case <-timer.C:
		k.signal(syscall.SIGKILL)
		<-k.exited
	}
}
