package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Outputs that fail, beside what tee makes of them.

// outputMode is a mode of --output-error, which tee has too.
type outputMode struct {
	name  string
	goes  bool // on, with the others
	says  bool // so
	fails bool // says so by its status
}

// modes are what is to be when a pipe has lost its reader.
var modes = []outputMode{
	{"warn", true, true, true},
	{"warn-nopipe", true, false, false},
	{"exit", false, true, true},
	{"exit-nopipe", true, false, false},
}

// judge compares how a peer ended with what the mode demands.
func (m outputMode) judge(t *testing.T, p peer, r *running, status int, text string, other, data []byte) {
	t.Helper()
	wrong := 0
	switch {
	case !m.fails:
	case !p.isCopy():
		wrong = 1
	case m.goes:
		wrong = exitSome
	default:
		wrong = exitDestinations
	}
	if status != wrong || strings.Contains(r.stderr.String(), text) != m.says {
		t.Errorf("status %d, want %d; it said %q", status, wrong, r.stderr.String())
	}
	if m.goes {
		if diff := differ(other, data); diff != "" {
			t.Errorf("the other output: %s", diff)
		}
	} else if !bytes.HasPrefix(data, other) || len(other) == len(data) {
		t.Errorf("the other output has %d bytes of %d", len(other), len(data))
	}
}

// TestAPipeWithoutAReaderIsWhatTheModeSays lets the reader of standard output be gone from the beginning. A tee -p
// is one of warn-nopipe.
func TestAPipeWithoutAReaderIsWhatTheModeSays(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	for _, m := range modes {
		for _, p := range append(copies("--output-error="+m.name, "-", "-", "-o", "out"),
			peer{"tee", []string{"tee", "--output-error=" + m.name, "out"}}) {
			t.Run(m.name+", "+p.name, func(t *testing.T) {
				dir := t.TempDir()
				r := p.prepare(t, dir)
				r.Stdin = stdins["pipe"](t, data)
				gone, w := pipe(t)
				gone.Close()
				r.Stdout = w
				status := r.begin().end()
				m.judge(t, p, r, status, "roken pipe", contents(t, dir, "out"), data)
			})
		}
	}
}

// TestAFullDeviceIsNoPipe writes to /dev/full beside standard output: all modes tell of that.
func TestAFullDeviceIsNoPipe(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	for _, m := range modes {
		m.says, m.fails, m.goes = true, true, strings.HasPrefix(m.name, "warn")
		for _, p := range append(copies("--output-error="+m.name, "-", "-", "-o", "/dev/full"),
			peer{"tee", []string{"tee", "--output-error=" + m.name, "/dev/full"}}) {
			t.Run(m.name+", "+p.name, func(t *testing.T) {
				r := p.prepare(t, t.TempDir())
				r.Stdin = stdins["pipe"](t, data)
				out, w := pipe(t)
				r.Stdout = w
				through := collect(out)
				status := r.begin().end()
				m.judge(t, p, r, status, "o space left on device", through.all(t), data)
			})
		}
	}
}

// TestAFullDeviceAloneIsAFailure where cat, pv and mbuffer fail, too.
func TestAFullDeviceAloneIsAFailure(t *testing.T) {
	t.Parallel()
	for in, stdin := range stdins {
		for _, p := range append(copies("-", "-"), peer{"cat", []string{"cat"}}, peer{"mbuffer", []string{"mbuffer", "-q"}}) {
			t.Run(in+", "+p.name, func(t *testing.T) {
				full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				r := p.prepare(t, t.TempDir())
				r.Stdin, r.Stdout = stdin(t, noise(200_000)), full
				status := r.begin().end()
				if status == 0 || p.isCopy() && status != exitDestinations {
					t.Errorf("status %d", status)
				}
				if p.isCopy() && !strings.Contains(r.stderr.String(), "-: no space left on device, at byte 0") {
					t.Errorf("it said %q", r.stderr.String())
				}
			})
		}
	}
}

// small is a file system of 1 MiB.
func small(t *testing.T) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	dir = t.TempDir()
	if err := syscall.Mount("penstock-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestADiskThatFillsUpHasAllThatFits, to the last byte, and the other output has everything.
func TestADiskThatFillsUpHasAllThatFits(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	for _, p := range append(copies("-", "-", "-o", "out"), peer{"tee", []string{"tee", "out"}}) {
		t.Run(p.name, func(t *testing.T) {
			dir := small(t)
			r := p.prepare(t, dir)
			r.Stdin = stdins["pipe"](t, data)
			out, w := pipe(t)
			r.Stdout = w
			through := collect(out)
			want := 1
			if p.isCopy() {
				want = exitSome
			}
			if status := r.begin().end(); status != want || !strings.Contains(r.stderr.String(), "o space left on device") {
				t.Errorf("status %d; it said %q", status, r.stderr.String())
			}
			if diff := differ(through.all(t), data); diff != "" {
				t.Errorf("standard output: %s", diff)
			}
			got := contents(t, dir, "out") // tmpfs counts its pages by processor, and may be full a few too early
			if diff := differ(got, data[:len(got)]); diff != "" || len(got) < 1<<20-256<<10 || len(got) > 1<<20 {
				t.Errorf("%d bytes fit: %s", len(got), diff)
			}
		})
	}
}

// TestNothingIsLostBetweenAFullDiskAndItsSource finds every byte again: in the file, in what was in flight, or in the
// pipe, in that order.
func TestNothingIsLostBetweenAFullDiskAndItsSource(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	for _, args := range [][]string{nil, {"--buffer", "512KiB"}} {
		for _, p := range copies(append(args, "--save-in-flight", "rest", "-", "small/out")...) {
			t.Run(strings.Join(append([]string{p.name}, args...), " "), func(t *testing.T) {
				disk, dir := small(t), t.TempDir()
				if err := os.Symlink(disk, filepath.Join(dir, "small")); err != nil {
					t.Fatal(err)
				}
				r := p.prepare(t, dir)
				in, w := pipe(t)
				own, err := unix.FcntlInt(in.Fd(), unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				left := os.NewFile(uintptr(own), "pipe")
				defer left.Close()
				feed(w, data)
				r.Stdin = in
				if status := r.begin().end(); status != exitDestinations {
					t.Errorf("status %d; it said %q", status, r.stderr.String())
				}
				got := contents(t, disk, "out")
				if diff := differ(got, data[:1<<20]); diff != "" {
					t.Errorf("what fits: %s", diff)
				}
				if _, err := os.Stat(filepath.Join(dir, "rest")); err == nil {
					got = append(got, contents(t, dir, "rest")...)
				}
				got = append(got, collect(left).all(t)...)
				if diff := differ(got, data); diff != "" {
					t.Errorf("file, rest and pipe together: %s", diff)
				}
			})
		}
	}
}

// reader is a process that writes what comes by a FIFO to a file.
type reader struct {
	*exec.Cmd
	file string
}

func readFIFO(t *testing.T, dir, name string) *reader {
	t.Helper()
	from, to := filepath.Join(dir, name), filepath.Join(dir, name+".got")
	if err := unix.Mkfifo(from, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &reader{exec.Command("sh", "-c", `exec cat <"$0" >"$1"`, from, to), to}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Process.Kill() // which may have been waited for
		_ = r.Wait()
	})
	return r
}

// has waits until it has so many bytes.
func (r *reader) has(t *testing.T, n int) {
	t.Helper()
	until(t, "a reader gets what was written", func() bool {
		st, err := os.Stat(r.file)
		return err == nil && st.Size() >= int64(n)
	})
}

// TestAReaderThatIsKilledCutsNoOtherShort kills one of three in the middle. A tee without -p is killed itself then, by
// SIGPIPE, and the others lose the rest.
func TestAReaderThatIsKilledCutsNoOtherShort(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	peers := append(copies("-", "-", "-o", "fifo:a", "-o", "fifo:b"),
		copies("--output-error=warn-nopipe", "-", "-", "-o", "a", "-o", "b")...)
	peers = append(peers, peer{"tee -p", []string{"tee", "-p", "a", "b"}}, peer{"tee", []string{"tee", "a", "b"}})
	for i, p := range peers {
		want := map[int]int{0: exitSome, 1: exitSome, 5: 128 + int(syscall.SIGPIPE)}[i]
		t.Run(strings.Join(p.argv, " "), func(t *testing.T) {
			dir := t.TempDir()
			a, b := readFIFO(t, dir, "a"), readFIFO(t, dir, "b")
			r := p.prepare(t, dir)
			in, w := pipe(t)
			out, stdout := pipe(t)
			r.Stdin, r.Stdout = in, stdout
			through := collect(out)
			r.begin()
			half := len(data) / 2
			if _, err := w.Write(data[:half]); err != nil {
				t.Fatal(err)
			}
			a.has(t, half)
			b.has(t, half)
			if err := a.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = a.Wait() // which says that it was killed
			feed(w, data[half:])
			if status := r.end(); status != want {
				t.Errorf("status %d, want %d; it said %q", status, want, r.stderr.String())
			}
			if err := b.Wait(); err != nil {
				t.Errorf("the other reader: %v", err)
			}
			cut := p.name == "tee"
			for name, got := range map[string][]byte{"standard output": through.all(t), "b": contents(t, b.file)} {
				if diff := differ(got, data); diff == "" == cut {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if diff := differ(contents(t, a.file), data[:half]); diff != "" {
				t.Errorf("the one that was killed: %s", diff)
			}
		})
	}
}
