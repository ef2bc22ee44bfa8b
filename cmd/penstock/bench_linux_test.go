package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/internal/refuse"
)

// TestABenchThatIsStoppedLeavesNothing: no file, and no process that feeds or drains, whether it is asked to stop or
// killed.
func TestABenchThatIsStoppedLeavesNothing(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), "penstock", "bench", "--time", "1m", "--size", "1MiB", "--dir", dir)
			stderr, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			cmd.Stderr = w
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			awaitUnlinked(t, cmd.Process.Pid)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if err := stderr.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			text, rerr := io.ReadAll(stderr) // ends when nobody has it any more: so the other process has gone, too
			if rerr != nil {
				t.Errorf("a process is left: %v", rerr)
			}
			asked := cmd.ProcessState.ExitCode() == exitSignalled+int(signal) && string(text) == "penstock: interrupted\n"
			if !asked && signal != syscall.SIGKILL {
				t.Errorf("%v\n%s", err, text)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// awaitUnlinked waits until a process has files without a name.
func awaitUnlinked(t *testing.T, pid int) {
	t.Helper()
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		all, err := os.ReadDir(fds)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range all {
			if to, _ := os.Readlink(filepath.Join(fds, fd.Name())); strings.HasSuffix(to, "(deleted)") {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("it has no files")
		}
	}
}

// TestABenchInASandbox says that all went by read and write, as it did, and which of its calls io.Copy was refused.
func TestABenchInASandbox(t *testing.T) {
	if !refuse.Reexec(t, syscall.EPERM, "splice", "tee", "sendfile", "copy_file_range") {
		return
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), "penstock", "bench", "--time", "1ms", "--size", "1MiB", "--json")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var r benchResult
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := len(benchKinds) * len(benchWays); len(r.Rows) != want {
		t.Errorf("%d rows, want %d", len(r.Rows), want)
	}
	for _, row := range r.Rows {
		if row.Way != byIOCopy && row.Path != penstock.PathReadWrite {
			t.Errorf("%s to %s, %s: by %s", row.From, row.To, row.Way, row.Path)
		}
		if row.Error == "" && row.BytesPerSecond <= 0 || row.Error != "" && row.Way != byIOCopy {
			t.Errorf("%+v", row)
		}
	}
}

// TestABenchOnASmallDiskSaysSo in one line, and measures with what fits.
func TestABenchOnASmallDiskSaysSo(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=5m"); err != nil {
		t.Skip("a file system cannot be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "penstock", "bench", "--time", "1ms", "--dir", dir)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	want := "penstock: only 5.0 MiB free in " + dir + ": the two files are of 2.0 MiB\n"
	if err != nil || stderr.String() != want || !strings.Contains(stdout.String(), "files of 2.0 MiB in "+dir) {
		t.Errorf("%v\n%s\n%s", err, &stderr, &stdout)
	}

	if err := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout.Reset()
	stderr.Reset()
	cmd = exec.CommandContext(t.Context(), "penstock", "bench", "--time", "1ms", "--dir", dir)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.HasSuffix(stderr.String(), "no space left on device\n") {
		t.Errorf("%v\n%s\n%s", err, &stderr, &stdout)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
