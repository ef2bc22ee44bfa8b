package refuse

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inChild names the test that a process has been started for, to that process.
const inChild = "PENSTOCK_REFUSED_TEST"

// Reexec runs the calling test a second time, in a process of its own in which the system calls named fail with errno.
// It returns true there, and false here, when that process is done: then the test has nothing more to do, and fails or
// is skipped if it did or was there.
//
//	if !refuse.Reexec(t, syscall.EPERM, "splice", "tee") {
//		return
//	}
//
// It skips the test by name where no filter can be installed. What comes before it, in the test and in those that it is
// a subtest of, runs in both. With no calls it is a process of the test's own, in which nothing fails.
func Reexec(t *testing.T, errno syscall.Errno, calls ...string) bool {
	t.Helper()
	if os.Getenv(inChild) == t.Name() {
		if err := install(errno, calls); errors.Is(err, errArchitecture) || errors.Is(err, syscall.ENOSYS) {
			t.Skipf("cannot refuse system calls: %v", err)
		} else if err != nil {
			t.Fatal(err)
		}
		return true
	}
	runBinary(t, exactly(t.Name()), []string{inChild + "=" + t.Name()}, t.Name())
	return false
}

// Run runs those tests of the same binary whose names match pattern in a process in which the system calls named fail
// with errno, and fails or succeeds as they do; that some are skipped is theirs to know. It must not be called by a
// test that it would run.
func Run(t *testing.T, pattern string, errno syscall.Errno, calls ...string) {
	t.Helper()
	if !Reexec(t, errno, calls...) {
		return
	}
	// A filter outlives exec, so that those tests need not know of it.
	runBinary(t, pattern, nil, "")
}

// exactly returns the pattern that a test's name alone matches.
func exactly(name string) string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	return strings.Join(parts, "/")
}

// runBinary runs tests of this binary, and takes their outcome for t's. want is the one that must be among them.
func runBinary(t *testing.T, pattern string, env []string, want string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var limit time.Duration // none
	if deadline, ok := t.Deadline(); ok {
		limit = max(time.Until(deadline)-time.Second, time.Second) // it prints its goroutines before we print ours
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.v", "-test.count=1", "-test.run="+pattern,
		fmt.Sprintf("-test.timeout=%v", limit), fmt.Sprintf("-test.short=%v", testing.Short()))
	// The race detector sleeps for a second when a program ends; that adds up.
	env = append(env, "GORACE=atexit_sleep_ms=10 "+os.Getenv("GORACE"))
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	switch o := string(out); {
	case err != nil:
		t.Errorf("under the filter: %v\n%s", err, o)
	case want != "" && strings.Contains(o, "--- SKIP: "+want+" ("):
		t.Skipf("under the filter:\n%s", o)
	case !strings.Contains(o, "--- PASS: "+want):
		t.Errorf("under the filter nothing ran:\n%s", o)
	default:
		t.Logf("under the filter:\n%s", o)
	}
}
