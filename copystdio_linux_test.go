package penstock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// What only a process of its own shows: standard input and output that block, a broken one, no descriptor left.

// TestTrapABrokenStdoutIsAnErrorAndNotDeath: Go lets EPIPE on descriptor 1 kill the process.
func TestTrapABrokenStdoutIsAnErrorAndNotDeath(t *testing.T) {
	for i, from := range origins() {
		t.Run(from.name, func(t *testing.T) {
			t.Parallel()
			r, w := fifo(t)
			r.Close()
			args := childArgs("TestBrokenStdoutChild")
			cmd := exec.Command(args[0], args[1:3]...) // it must not write itself
			cmd.Env = append(childEnv(t, "TestBrokenStdoutChild"), fmt.Sprint("PENSTOCK_ORIGIN=", i))
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = w, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 42 {
				t.Errorf("%v: %s", err, said.String())
			}
		})
	}
}

// TestBrokenStdoutChild copies to a standard output whose reader has gone, and exits with 42 if all is as it should be.
func TestBrokenStdoutChild(t *testing.T) {
	isChild(t)
	n, err := strconv.Atoi(os.Getenv("PENSTOCK_ORIGIN"))
	if err != nil {
		t.Fatal(err)
	}
	data := pattern(100_000)
	for _, by := range manners(t) {
		src := origins()[n].open(t, data)
		rep, err := penstock.Copy(background, os.Stdout, src, by.opts...)
		accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, syscall.EPIPE))
		completes(t, data, src, err, by.opts...)
		if t.Failed() {
			fmt.Fprintln(os.Stderr, by.name, rep, err)
			os.Exit(1)
		}
	}
	os.Exit(42)
}

// TestTrapBlockingStdioDoesNotSpin: a stalled copy of standard input to standard output takes no processor time,
// neither where nothing comes nor where nobody reads.
func TestTrapBlockingStdioDoesNotSpin(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes its time")
	}
	for _, how := range []string{"any way", "no splice"} {
		for _, stall := range []string{"source", "sink"} {
			t.Run(stall+", "+how, func(t *testing.T) {
				t.Parallel()
				stdinR, stdinW := blockingFIFO(t)
				stdoutR, stdoutW := blockingFIFO(t)
				args := childArgs("TestStdioChild")
				cmd := exec.Command(args[0], args[1:3]...)
				cmd.Env = append(childEnv(t, "TestStdioChild"), "PENSTOCK_HOW="+how)
				var said bytes.Buffer
				cmd.Stdin, cmd.Stdout, cmd.Stderr = stdinR, stdoutW, &said
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				stdinR.Close()
				stdoutW.Close()
				data := pattern(40_000)
				if _, err := stdinW.Write(data); err != nil {
					t.Fatal(err)
				}
				first := make([]byte, len(data))
				if _, err := io.ReadFull(stdoutR, first); err != nil { // so it runs
					t.Fatal(err)
				}
				fed := make(chan struct{})
				more := 0
				if stall == "sink" { // more than the pipes hold
					more = 400_000
				}
				go func() {
					defer close(fed)
					stdinW.Write(pattern(more))
				}()
				before := processorTime(t, cmd.Process.Pid)
				time.Sleep(time.Second)
				if took := processorTime(t, cmd.Process.Pid) - before; took > 100*time.Millisecond {
					t.Errorf("a second's stall took %v of processor time", took)
				}
				rest := drink(t, stdoutR)
				<-fed
				stdinW.Close()
				if b := rest(); !bytes.Equal(first, data) || !bytes.Equal(b, pattern(more)) {
					t.Errorf("%d and %d bytes came through, or others", len(first), len(b))
				}
				if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 42 {
					t.Errorf("%v: %s", err, said.String())
				}
			})
		}
	}
}

// processorTime returns what a process has used up, all threads together.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	sum := time.Duration(0)
	for _, field := range strings.Fields(fields)[11:13] { // utime and stime
		ticks, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}

// TestStdioChild copies standard input to standard output.
func TestStdioChild(t *testing.T) {
	isChild(t)
	var opts []penstock.Option
	if os.Getenv("PENSTOCK_HOW") == "no splice" {
		opts = append(opts, penstock.WithoutSplice())
	}
	if rep, err := penstock.Copy(background, os.Stdout, os.Stdin, opts...); err != nil {
		fmt.Fprintln(os.Stderr, rep, err)
		os.Exit(1)
	}
	os.Exit(42)
}

// TestWithoutADescriptorLeftTheBytesAreCopied: where no pipe is to be had there is read and write.
func TestWithoutADescriptorLeftTheBytesAreCopied(t *testing.T) {
	args := childArgs("TestDescriptorsChild")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = childEnv(t, "TestDescriptorsChild")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestDescriptorsChild")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDescriptorsChild may have no more descriptors than it has when a transfer begins.
func TestDescriptorsChild(t *testing.T) {
	isChild(t)
	data := bytes.Repeat(pattern(64<<10), 4)
	for _, from := range origins() {
		for _, to := range termini() {
			if from.name == "gzip" && to.name != "TCP" {
				continue // it takes its time
			}
			src := from.open(t, data)
			dst, got := to.open(t)
			var was unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
				t.Fatal(err)
			}
			none := was
			none.Cur = 4 // the standard ones, and poll(2) asks for no more than are allowed
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
				t.Fatal(err)
			}
			rep, err := penstock.Copy(background, dst, src)
			if serr := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); serr != nil {
				t.Fatal(serr)
			}
			if _, rerr := io.Copy(io.Discard, src); rerr != nil { // so that nobody waits
				t.Error(rerr)
			}
			if b := got(); err != nil || !bytes.Equal(b, data) {
				t.Errorf("%s to %s: %d bytes of %d, or others: %v, %v", from.name, to.name, len(b), len(data), rep, err)
			}
		}
	}
}
