package mirror_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoCommandOutlivesARelay that is closed, though it cares for neither its input's end nor SIGTERM.
func TestNoCommandOutlivesARelay(t *testing.T) {
	for name, text := range map[string]string{
		"asleep":  "echo $$ >PID; exec sleep 1000",
		"trapped": "trap '' TERM; echo $$ >PID; while :; do sleep 1000; done",
		"group":   "(echo $$ >PID; sleep 1000) | cat",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pid")
			r := run(t, false, time.Second, "exec:"+strings.ReplaceAll(text, "PID", path))
			r.converse(t, noise(1000))
			<-r.records
			pid := pidIn(t, path)
			r.Close()
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				_ = syscall.Kill(-pid, syscall.SIGKILL)
				t.Errorf("process %d is still there: %v", pid, err)
			}
			if got := r.log.String(); !strings.Contains(got, "the relay is shut down") {
				t.Errorf("the log says %q", got)
			}
		})
	}
}

// pidIn waits for a command to write its number.
func pidIn(t *testing.T, path string) int {
	t.Helper()
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(path) // it may not be there yet
		if line, whole := strings.CutSuffix(string(text), "\n"); whole {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("the command does not begin")
	return 0
}
