package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Copies that are interrupted, and copies whose user sits at a terminal.

// twin is a descriptor of the same open file: what somebody has not read can still be read by it.
func twin(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	own := os.NewFile(uintptr(fd), "twin of "+f.Name())
	t.Cleanup(func() { own.Close() })
	return own
}

// held is how many bytes a pipe holds.
func held(t *testing.T, f *os.File) int {
	t.Helper()
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// channels are what can be read on by who holds a twin, once somebody else has read a part.
var channels = map[string]func(t *testing.T) (r, w *os.File){
	"pipe": pipe,
	"FIFO": func(t *testing.T) (r, w *os.File) { return fifo(t, t.TempDir(), "in") },
	"Unix socket": func(t *testing.T) (r, w *os.File) {
		return socketPair(t)
	},
	"TCP socket": tcpPair,
}

// feedOn writes the same bytes again and again until what it returns is called, which returns how much that was. By
// then somebody must be reading it.
func feedOn(w *os.File, again []byte) (stop func() int) {
	over, n := make(chan struct{}), make(chan int)
	go func() {
		total := 0
		defer func() { w.Close(); n <- total }()
		for {
			select {
			case <-over:
				return
			default:
			}
			m, err := w.Write(again)
			if total += m; err != nil {
				return
			}
		}
	}()
	return func() int { close(over); return <-n }
}

// repeated tells whether a stream of that length is the same bytes again and again.
func repeated(stream, again []byte, length int) string {
	for at := 0; at < len(stream); at += len(again) {
		part := stream[at:min(at+len(again), len(stream))]
		if diff := differ(part, again[:len(part)]); diff != "" {
			return fmt.Sprintf("behind %d: %s", at, diff)
		}
	}
	if len(stream) != length {
		return fmt.Sprintf("%d bytes of %d", len(stream), length)
	}
	return ""
}

// TestWhatAnInterruptedCopyHasReadIsAtTheDestination interrupts one that waits for a slow reader, and finds every byte
// again: at the destinations, or still in the source.
func TestWhatAnInterruptedCopyHasReadIsAtTheDestination(t *testing.T) {
	t.Parallel()
	again := noise(1<<20 + 7)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for kind, channel := range channels {
			if s == syscall.SIGTERM && kind != "pipe" {
				continue
			}
			for _, args := range [][]string{
				{"-", "-"}, {"-", "-", "-o", "out"}, {"-", "-", "--buffer", "512KiB"}, {"-", "-", "--limit", "5TiB"},
			} {
				for _, p := range copies(args...) {
					t.Run(fmt.Sprintf("%v, %s, %s", s, kind, strings.Join(p.argv[2:], " ")), func(t *testing.T) {
						dir := t.TempDir()
						r := p.prepare(t, dir)
						in, w := channel(t)
						left := twin(t, in)
						out, stdout := pipe(t)
						r.Stdin, r.Stdout = in, stdout
						stop := feedOn(w, again)
						r.begin()
						until(t, "the reader has something to read", func() bool { return held(t, out) > 0 })
						if err := r.Process.Signal(s); err != nil {
							t.Fatal(err)
						}
						through := collect(out)
						if status, want := r.end(), exitSignalled+int(s); status != want {
							t.Errorf("status %d, want %d", status, want)
						}
						if !strings.Contains(r.stderr.String(), "all that had been read has been delivered") {
							t.Errorf("it said %q", r.stderr.String())
						}
						got := through.all(t)
						if len(args) > 2 && args[2] == "-o" {
							if diff := differ(contents(t, dir, "out"), got); diff != "" {
								t.Errorf("the other output: %s", diff)
							}
						}
						rest := collect(left)
						length := stop()
						if diff := repeated(append(got, rest.all(t)...), again, length); diff != "" {
							t.Errorf("destination and source together: %s", diff)
						}
					})
				}
			}
		}
	}
}

// TestACopyThatWaitsForItsSourceIsInterrupted at once.
func TestACopyThatWaitsForItsSourceIsInterrupted(t *testing.T) {
	t.Parallel()
	data := noise(10_001)
	for kind, channel := range channels {
		for _, args := range [][]string{
			{"-", "-"}, {"-", "-", "-o", "out"}, {"-", "-", "--buffer", "512KiB"}, {"--both", "-", "exec:cat"},
		} {
			for _, p := range copies(args...) {
				t.Run(kind+", "+strings.Join(p.argv[2:], " "), func(t *testing.T) {
					r := p.prepare(t, t.TempDir())
					in, w := channel(t)
					out, stdout := pipe(t)
					r.Stdin, r.Stdout = in, stdout
					if _, err := w.Write(data); err != nil {
						t.Fatal(err)
					}
					r.begin()
					until(t, "all has arrived", func() bool { return held(t, out) == len(data) })
					if err := r.Process.Signal(os.Interrupt); err != nil {
						t.Fatal(err)
					}
					if status := r.end(); status != exitSignalled+int(syscall.SIGINT) {
						t.Errorf("status %d; it said %q", status, r.stderr.String())
					}
					if diff := differ(collect(out).all(t), data); diff != "" {
						t.Error(diff)
					}
				})
			}
		}
	}
}

// terminal returns a terminal of 80 columns and the side that a person sits at. What is shown there is gathered.
func terminal(t *testing.T) (tty, person *os.File, shown *said) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	raw, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	cerr := raw.Control(func(fd uintptr) { // by Fd it would block, and no Close would end a Read
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if err == nil {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: 80, Row: 24})
		}
	})
	if err := errors.Join(cerr, err); err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	shown = new(said)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(shown, person) // EIO once nobody has it open any more
	}()
	t.Cleanup(func() { tty.Close(); person.Close(); <-done })
	return tty, person, shown
}

// types is what somebody does at a keyboard.
func types(t *testing.T, person *os.File, keys string) {
	t.Helper()
	if _, err := person.WriteString(keys); err != nil {
		t.Error(err)
	}
}

// TestStandardInputIsATerminal as people use cat: lines are typed, Ctrl-D ends them.
func TestStandardInputIsATerminal(t *testing.T) {
	t.Parallel()
	peers := append(copies("-", "-"), copies("-", "-", "-o", "out")...)
	peers = append(peers, copies("-", "-", "--buffer", "64KiB")...)
	for _, p := range append(peers, peer{"cat", []string{"cat"}}, peer{"tee", []string{"tee", "out"}}) {
		t.Run(strings.Join(p.argv, " "), func(t *testing.T) {
			tty, person, _ := terminal(t)
			r := p.prepare(t, t.TempDir())
			out, w := pipe(t)
			r.Stdin, r.Stdout = twin(t, tty), w
			r.begin()
			for _, line := range []string{"one\n", "two\n"} {
				types(t, person, line)
				b := make([]byte, len(line))
				_ = out.SetReadDeadline(time.Now().Add(hung / 2))
				if _, err := io.ReadFull(out, b); err != nil || string(b) != line {
					t.Fatalf("%q, %v", b, err)
				}
			}
			types(t, person, "\x04")
			if rest := collect(out).all(t); len(rest) > 0 {
				t.Errorf("and then %q", rest)
			}
			if status := r.end(); status != 0 {
				t.Errorf("status %d; it said %q", status, r.stderr.String())
			}
		})
	}
}

// TestCtrlCAtTheTerminalEndsACopy whose terminal it is, and what had been typed has arrived.
func TestCtrlCAtTheTerminalEndsACopy(t *testing.T) {
	t.Parallel()
	for _, p := range append(copies("-", "-"), peer{"cat", []string{"cat"}}) {
		t.Run(p.name, func(t *testing.T) {
			tty, person, _ := terminal(t)
			r := p.prepare(t, t.TempDir())
			out, w := pipe(t)
			r.Stdin, r.Stdout = twin(t, tty), w
			r.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			r.begin()
			types(t, person, "one\n")
			until(t, "a line arrives", func() bool { return held(t, out) == 4 })
			types(t, person, "\x03")
			if status := r.end(); status != exitSignalled+int(syscall.SIGINT) {
				t.Errorf("status %d; it said %q", status, r.stderr.String())
			}
			if got := collect(out).all(t); string(got) != "one\n" {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestASourceThatStallsIsSeen on the terminal while nothing moves: how much has come, and that it is the source. A pv
// shows how much.
func TestASourceThatStallsIsSeen(t *testing.T) {
	t.Parallel()
	data := noise(200 << 10)
	peers := append(copies("-i", "0.05", "-", "-"), copies("-i", "0.05", "-", "-", "-o", "out")...)
	for _, p := range append(peers, peer{"pv", []string{"pv", "-i", "0.1"}}) {
		t.Run(strings.Join(p.argv, " "), func(t *testing.T) {
			tty, _, shown := terminal(t)
			r := p.prepare(t, t.TempDir())
			in, w := pipe(t)
			out, stdout := pipe(t)
			r.Stdin, r.Stdout, r.Stderr = in, stdout, twin(t, tty)
			r.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2} // in the background pv shows nothing
			got := collect(out)
			r.begin()
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			until(t, "200 KiB are shown, and who stalls", func() bool {
				_, last, is := strings.Cut(shown.String(), "200KiB")
				return is && (!p.isCopy() || strings.Contains(last, "source"))
			})
			if _, err := w.Write([]byte("and more")); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if diff := differ(got.all(t), append(bytes.Clone(data), "and more"...)); diff != "" {
				t.Error(diff)
			}
			if status := r.end(); status != 0 {
				t.Errorf("status %d", status)
			}
		})
	}
}
