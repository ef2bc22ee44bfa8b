package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Beside the originals: what penstock copy is to replace gets the same input, and gives the same output.

// peer is a program, and what it is called with. The names of files in it are in its directory.
type peer struct {
	name string
	argv []string
}

// copies are the two ways of penstock copy, with these arguments.
func copies(args ...string) []peer {
	return []peer{
		{"penstock", append([]string{"penstock", "copy"}, args...)},
		{"penstock --no-splice", append([]string{"penstock", "copy", "--no-splice"}, args...)},
	}
}

func (p peer) isCopy() bool { return p.argv[0] == "penstock" }

// hung is when a program is taken to hang.
const hung = time.Minute

// running is a peer that runs.
type running struct {
	*exec.Cmd
	t      *testing.T
	stderr said
}

// prepare makes ready to run a peer in a directory, or skips the test where there is no such program.
func (p peer) prepare(t *testing.T, dir string) *running {
	t.Helper()
	path, err := exec.LookPath(p.argv[0])
	if err != nil {
		t.Skipf("no %s", p.argv[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	t.Cleanup(cancel)
	r := &running{Cmd: exec.CommandContext(ctx, path, p.argv[1:]...), t: t}
	r.Dir, r.Stderr = dir, &r.stderr
	r.WaitDelay = time.Second // for whoever inherited its stderr
	return r
}

// begin starts it. What it was given as standard streams is its own from then on.
func (r *running) begin() *running {
	r.t.Helper()
	if err := r.Start(); err != nil {
		r.t.Fatal(err)
	}
	for _, f := range []any{r.Stdin, r.Stdout, r.Stderr} {
		if f, ok := f.(*os.File); ok {
			f.Close()
		}
	}
	return r
}

// end waits for it, and returns its status: 128 and the signal's number if it was killed, as shells have it.
func (r *running) end() int {
	r.t.Helper()
	_ = r.Wait() // the state tells it
	if s := r.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		if s.Signal() == syscall.SIGKILL {
			r.t.Errorf("%s hung; it said %q", r.Args[0], r.stderr.String())
		}
		return 128 + int(s.Signal())
	}
	return r.ProcessState.ExitCode()
}

// said is what a program says on stderr; it may be looked at meanwhile.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hung / 2); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened that %s", what)
		}
	}
}

// noise returns so many bytes no two parts of which are alike.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// differ tells where two streams differ, empty if they do not.
func differ(got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d bytes of %d, and byte %d is %#x, not %#x", len(got), len(want), i, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d bytes of %d", len(got), len(want))
}

// pipe returns a pipe, both ends of which are closed at the test's end.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// socketPair returns two connected sockets of the Unix domain, as files.
func socketPair(t *testing.T) (a, b *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b = os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// fifo returns both ends of a FIFO in a directory.
func fifo(t *testing.T, dir, name string) (r, w *os.File) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	hold, err := os.OpenFile(path, os.O_RDWR, 0) // else each end would wait for the other
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	if r, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
	if w, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// tcpPair returns two connected TCP sockets, as files.
func tcpPair(t *testing.T) (a, b *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if a, err = near.(*net.TCPConn).File(); err != nil {
		t.Fatal(err)
	}
	if b, err = far.(*net.TCPConn).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// feed writes everything to what a program reads from, and closes it.
func feed(w *os.File, data []byte) {
	go func() {
		defer w.Close()
		_, _ = w.Write(data) // who reads may have gone
	}()
}

// collected is what comes out of a program, read in the background.
type collected struct {
	bytes []byte
	err   error
	done  chan struct{}
}

func collect(r *os.File) *collected {
	c := &collected{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer r.Close()
		c.bytes, c.err = io.ReadAll(r)
	}()
	return c
}

// all waits for the end.
func (c *collected) all(t *testing.T) []byte {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(hung):
		t.Fatal("what comes out does not end")
	}
	if c.err != nil {
		t.Error(c.err)
	}
	return c.bytes
}

func contents(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Error(err)
	}
	return b
}

// stdins are the kinds of standard input: each holds the data, and then ends.
var stdins = map[string]func(t *testing.T, data []byte) *os.File{
	"file": func(t *testing.T, data []byte) *os.File {
		path := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	},
	"pipe": func(t *testing.T, data []byte) *os.File {
		r, w := pipe(t)
		feed(w, data)
		return r
	},
	"FIFO": func(t *testing.T, data []byte) *os.File {
		r, w := fifo(t, t.TempDir(), "in")
		feed(w, data)
		return r
	},
	"Unix socket": func(t *testing.T, data []byte) *os.File {
		a, b := socketPair(t)
		feed(b, data)
		return a
	},
	"TCP socket": func(t *testing.T, data []byte) *os.File {
		a, b := tcpPair(t)
		feed(b, data)
		return a
	},
}

// stdouts are the kinds of standard output: what is written there can be had once the program has ended.
var stdouts = map[string]func(t *testing.T) (stdout *os.File, written func() []byte){
	"file": func(t *testing.T) (*os.File, func() []byte) {
		path := filepath.Join(t.TempDir(), "out")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, func() []byte { return contents(t, path) }
	},
	"pipe": func(t *testing.T) (*os.File, func() []byte) {
		r, w := pipe(t)
		c := collect(r)
		return w, func() []byte { return c.all(t) }
	},
	"TCP socket": func(t *testing.T) (*os.File, func() []byte) {
		a, b := tcpPair(t)
		c := collect(b)
		return a, func() []byte { return c.all(t) }
	},
}

// TestThroughEveryProgramComeTheSameBytes runs them as filters, from every kind of standard input to every kind of
// standard output.
func TestThroughEveryProgramComeTheSameBytes(t *testing.T) {
	t.Parallel()
	peers := append(copies("-", "-"),
		peer{"penstock --buffer", []string{"penstock", "copy", "--buffer", "1MiB", "-", "-"}},
		peer{"cat", []string{"cat"}},
		peer{"pv", []string{"pv", "-q"}},
		peer{"tee", []string{"tee"}},
		peer{"mbuffer", []string{"mbuffer", "-q", "-m", "1M"}},
		peer{"socat", []string{"socat", "-u", "STDIN", "STDOUT"}},
	)
	for in, stdin := range stdins {
		for out, stdout := range stdouts {
			t.Run(in+" to "+out, func(t *testing.T) {
				lengths := []int{0, 3<<20 + 7}
				if in == "pipe" && out == "pipe" {
					lengths = append(lengths, 1, 64<<10, 64<<10+1)
				}
				for _, length := range lengths {
					data := noise(length)
					for _, p := range peers {
						t.Run(fmt.Sprintf("%d bytes, %s", length, p.name), func(t *testing.T) {
							r := p.prepare(t, t.TempDir())
							r.Stdin = stdin(t, data)
							to, written := stdout(t)
							r.Stdout = to
							status := r.begin().end()
							if diff := differ(written(), data); status != 0 || diff != "" {
								t.Errorf("status %d, %s; it said %q", status, diff, r.stderr.String())
							}
						})
					}
				}
			})
		}
	}
}

// TestEveryOutputOfTeeHasTheSameBytes writes to two files beside standard output.
func TestEveryOutputOfTeeHasTheSameBytes(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	peers := append(copies("-", "-", "-o", "a", "-o", "b"),
		peer{"tee", []string{"tee", "a", "b"}},
		peer{"mbuffer", []string{"mbuffer", "-q", "-m", "1M", "-o", "-", "-o", "a", "-o", "b"}},
	)
	for in, stdin := range stdins {
		for _, p := range peers {
			t.Run(in+", "+p.name, func(t *testing.T) {
				dir := t.TempDir()
				r := p.prepare(t, dir)
				r.Stdin = stdin(t, data)
				out, w := pipe(t)
				r.Stdout = w
				through := collect(out)
				status := r.begin().end()
				for name, got := range map[string][]byte{
					"-": through.all(t), "a": contents(t, dir, "a"), "b": contents(t, dir, "b"),
				} {
					if diff := differ(got, data); diff != "" {
						t.Errorf("%s: %s", name, diff)
					}
				}
				if status != 0 {
					t.Errorf("status %d; it said %q", status, r.stderr.String())
				}
			})
		}
	}
}

// TestAppendingIsAppending writes behind what is there, as tee -a does.
func TestAppendingIsAppending(t *testing.T) {
	t.Parallel()
	for _, p := range append(copies("-", "null:", "-o", "file:out?append"), peer{"tee", []string{"tee", "-a", "out"}}) {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "out"), []byte("before "), 0o600); err != nil {
				t.Fatal(err)
			}
			r := p.prepare(t, dir)
			r.Stdin = strings.NewReader("behind")
			if status := r.begin().end(); status != 0 {
				t.Errorf("status %d; it said %q", status, r.stderr.String())
			}
			if got := string(contents(t, dir, "out")); got != "before behind" {
				t.Errorf("%q", got)
			}
		})
	}
}
