package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock/internal/refuse"
)

// TestProbeInASandbox exits with 0 and says which verbs are refused: that is the answer.
func TestProbeInASandbox(t *testing.T) {
	if !refuse.Reexec(t, syscall.EPERM, "splice", "tee", "vmsplice") {
		return
	}
	var stdout, stderr strings.Builder
	if code := run([]string{"probe"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit status %d\n%s", code, &stderr)
	}
	for _, verb := range []string{"splice", "tee", "vmsplice"} {
		found := false
		for line := range strings.Lines(stdout.String()) {
			f := strings.Fields(line)
			found = found || len(f) > 2 && f[0] == verb && f[1] == "refused:"
		}
		if !found {
			t.Errorf("%s is not refused:\n%s", verb, &stdout)
		}
	}

	stdout.Reset()
	if code := run([]string{"probe", "--json"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit status %d\n%s", code, &stderr)
	}
	var c struct{ Tee struct{ State, Errno string } }
	err := json.Unmarshal([]byte(stdout.String()), &c)
	if err != nil || c.Tee.State != "refused" || c.Tee.Errno != "EPERM" {
		t.Errorf("%v\n%s", err, &stdout)
	}
}
