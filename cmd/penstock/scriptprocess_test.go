package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penstock-io/penstock/internal/control"
)

// Processes that run beside a script, and what they say is waited for.

// patience is for what ought to happen at once, on a machine that has much to do.
const patience = 30 * time.Second

// scene is what goes on beside a script, by name.
type scene struct {
	processes map[string]*process
	promises  map[string]chan error
}

func newScene() *scene { return &scene{map[string]*process{}, map[string]chan error{}} }

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(scene{}.key()).(*scene) }

// key is what a scene is found by among a script's values.
func (scene) key() any { return (*scene)(nil) }

// process is one that start has started.
type process struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser // nil unless it is held
	terminal *os.File       // our side of it; nil if it has none
	stdout   transcript
	stderr   transcript
	over     chan struct{} // closed when err and the transcripts are complete
	err      error
}

// transcript is what a process has written so far.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at the next Write; nil if nobody waits
}

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.more != nil {
		close(w.more)
		w.more = nil
	}
	return w.text.Write(b)
}

// now returns what there is, and what is closed when there is more.
func (w *transcript) now() (text []byte, more <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.more == nil {
		w.more = make(chan struct{})
	}
	return bytes.Clone(w.text.Bytes()), w.more
}

func (w *transcript) bytes() []byte {
	text, _ := w.now()
	return text
}

// status N PROGRAM... runs a program, which must exit with this status. Its output is there for stdout and stderr.
func status(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: status N program [args...]")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("status %d and not %s", got, args[0])
	}
}

// start [-in FILE | -hold] [-out FILE] [-tty] [-nobody] NAME PROGRAM... starts a program. Its standard input is empty,
// FILE, or a pipe that stays open until feed closes it; with -tty its stderr is a terminal; with -nobody it is another
// user's. It is killed if the script does not wait for it with ended.
func start(ts *testscript.TestScript, _ bool, args []string) {
	p := &process{over: make(chan struct{})}
	in, out, hold, tty, nobody := "", "", false, false, false
	for ; len(args) > 0 && args[0][0] == '-'; args = args[1:] {
		switch args[0] {
		case "-in":
			in, args = args[1], args[1:]
		case "-out":
			out, args = args[1], args[1:]
		case "-hold":
			hold = true
		case "-tty":
			tty = true
		case "-nobody":
			nobody = true
		default:
			ts.Fatalf("start: unknown %s", args[0])
		}
	}
	if len(args) < 2 {
		ts.Fatalf("usage: start [-in FILE | -hold] [-out FILE] [-tty] [-nobody] name program [args...]")
	}
	name := args[0]
	all := sceneOf(ts).processes
	if all[name] != nil {
		ts.Fatalf("start: there is one called %s", name)
	}
	path := args[1]
	if filepath.Base(path) == path {
		var err error
		path, err = exec.LookPath(path) // testscript has put its own folder into our PATH, too
		ts.Check(err)
	}
	p.cmd = exec.Command(path, args[2:]...)
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = append(os.Environ(), "HOME=/no-home", "TMPDIR="+ts.Getenv("TMPDIR"), "GORACE="+ts.Getenv("GORACE"))
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.WaitDelay = patience // somebody who has its stdout, too, does not keep us
	var ours []io.Closer
	if in != "" {
		f, err := os.Open(ts.MkAbs(in))
		ts.Check(err)
		p.cmd.Stdin = f
		ours = append(ours, f)
	}
	if hold {
		var err error
		p.stdin, err = p.cmd.StdinPipe()
		ts.Check(err)
	}
	if out != "" {
		f, err := os.Create(ts.MkAbs(out))
		ts.Check(err)
		p.cmd.Stdout = f
		ours = append(ours, f)
	}
	shown := make(chan struct{})
	if tty {
		program, user, err := openTerminal(80, 24)
		ts.Check(err)
		p.cmd.Stderr = program
		onTerminal(p.cmd, program)
		p.terminal = user
		ours = append(ours, program)
		go func() {
			defer close(shown)
			_, _ = io.Copy(&p.stderr, user) // EIO is its end
			user.Close()
		}()
	} else {
		close(shown)
	}
	if nobody {
		ts.Check(asNobody(p.cmd, path, ts.Getenv("WORK")))
	}
	ts.Check(p.cmd.Start())
	for _, f := range ours {
		f.Close()
	}
	all[name] = p
	go func() {
		p.err = p.cmd.Wait()
		<-shown
		close(p.over)
	}()
	ts.Setenv("PID_"+name, strconv.Itoa(p.cmd.Process.Pid))
	ts.Defer(func() {
		select {
		case <-p.over:
		default:
			_ = p.cmd.Process.Kill() // it is over meanwhile
			<-p.over
			ts.Logf("%s was still running; it had said:\n%s", name, p.stderr.bytes())
		}
	})
}

func named(ts *testscript.TestScript, name string) *process {
	p := sceneOf(ts).processes[name]
	if p == nil {
		ts.Fatalf("nothing called %s has been started", name)
	}
	return p
}

// says [-out] NAME PATTERN [VAR]... waits until the stderr of a process, or its stdout, matches, and sets each variable
// to what a group of the pattern has matched.
func says(ts *testscript.TestScript, _ bool, args []string) {
	onStdout := len(args) > 0 && args[0] == "-out"
	if onStdout {
		args = args[1:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: says [-out] name pattern [var]...")
	}
	p := named(ts, args[0])
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	from := &p.stderr
	if onStdout {
		from = &p.stdout
	}
	late := time.After(patience)
	for over := false; ; {
		text, more := from.now()
		if m := pattern.FindSubmatch(text); m != nil {
			for i, v := range args[2:] {
				ts.Setenv(v, string(m[i+1]))
			}
			return
		}
		if over {
			ts.Fatalf("%s ended (%v) without saying %q but:\n%s", args[0], p.err, args[1], legible(text))
		}
		select {
		case <-more:
		case <-p.over:
			over = true // it may have said it last
		case <-late:
			ts.Fatalf("%s does not say %q but:\n%s", args[0], args[1], legible(text))
		}
	}
}

// legible is what a log can show.
func legible(text []byte) string {
	if utf8.Valid(text) {
		return string(text[max(0, len(text)-4000):])
	}
	return fmt.Sprintf("%d bytes that are no text", len(text))
}

// typeTo NAME TEXT types at the terminal of a process; ^C is Ctrl-C.
func typeTo(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	if p.terminal == nil {
		ts.Fatalf("%s has no terminal", args[0])
	}
	_, err := io.WriteString(p.terminal, strings.ReplaceAll(args[1], "^C", "\x03"))
	ts.Check(err)
}

// running NAME [PATTERN] waits until a copy can be asked how it stands (it takes signals by then), and tells what
// matches.
func untilRuns(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	pattern, err := regexp.Compile(strings.Join(args[1:], " "))
	ts.Check(err)
	late := time.Now().Add(patience)
	for {
		r, err := control.Send(context.Background(), p.cmd.Process.Pid, control.Request{Report: true})
		if err == nil && pattern.Match(r.Report) {
			return
		}
		select {
		case <-p.over:
			ts.Fatalf("%s has ended (%v):\n%s", args[0], p.err, legible(p.stderr.bytes()))
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(late) {
			ts.Fatalf("%s: %v, %s", args[0], err, r.Report)
		}
	}
}

// feed NAME [FILE] writes a file to the standard input of a process, or, without one, closes that.
func feedTo(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	if p.stdin == nil {
		ts.Fatalf("the standard input of %s is not held", args[0])
	}
	if len(args) == 1 {
		ts.Check(p.stdin.Close())
		return
	}
	_, err := io.WriteString(p.stdin, ts.ReadFile(args[1]))
	ts.Check(err)
}

// signalTo NAME SIGNAL
func signalTo(ts *testscript.TestScript, _ bool, args []string) {
	s, ok := signals[args[1]]
	if !ok {
		ts.Fatalf("unknown signal %s", args[1])
	}
	ts.Check(named(ts, args[0]).cmd.Process.Signal(s))
}

// ended NAME STATUS waits until a process exits, with this status. Its output is there for stdout and stderr.
func ended(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	select {
	case <-p.over:
	case <-time.After(patience):
		ts.Fatalf("%s does not end; it has said:\n%s", args[0], p.stderr.bytes())
	}
	delete(sceneOf(ts).processes, args[0])
	for to, from := range map[io.Writer]*transcript{ts.Stdout(): &p.stdout, ts.Stderr(): &p.stderr} {
		_, err := to.Write(from.bytes())
		ts.Check(err)
	}
	got := p.cmd.ProcessState.String()
	if p.cmd.ProcessState.Exited() {
		got = strconv.Itoa(p.cmd.ProcessState.ExitCode())
	}
	if got != args[1] {
		ts.Fatalf("%s: status %s and not %s:\n%s", args[0], got, args[1], p.stderr.bytes())
	}
}
