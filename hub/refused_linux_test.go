package hub_test

import (
	"syscall"
	"testing"

	"github.com/penstock-io/penstock/internal/refuse"
)

// TestInASandboxEverythingStillArrives runs tests of both ways where the kernel refuses one of them.
func TestInASandboxEverythingStillArrives(t *testing.T) {
	for name, calls := range map[string][]string{
		"all":    {"splice", "tee", "vmsplice", "sendfile", "copy_file_range"},
		"splice": {"splice"},
		"tee":    {"tee"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refuse.Run(t, "^(Example|Test(LateViewerGetsASuffix|StreamOutlivesItsPublisher|"+
				"FailingSinkLeavesAloneAndSaysWhy|AHeaderBeforeAFullChunk))$", syscall.EPERM, calls...)
		})
	}
}
