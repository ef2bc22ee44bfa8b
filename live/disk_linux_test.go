package live_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

// TestAFullDiskMakesAGap records to a file system of 1 MiB, and makes room when that is full. The viewer gets
// everything; the recording has a beginning and an end of it, and tells how much it lacks.
func TestAFullDiskMakesAGap(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	t.Parallel()
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Grace = time.Minute
		s := start(t, cfg)
		dir := filepath.Join(s.record, "cam")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("penstock-test", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skipf("cannot mount a tmpfs here: %v", err)
		}
		t.Cleanup(func() {
			s.stop()
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
		s.announce("cam")
		viewer := s.watch("cam").background()
		s.untilViewers("cam", 1)
		long := bytes.Repeat([]byte("0123456789abcde\n"), 256<<10) // 4 MiB
		if status, body := s.put("cam", string(long)); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
		f := s.until("cam", "told of the gap", func(f facts) bool {
			return f.Recording.GapSince != nil && f.Recording.Bytes+f.Recording.GapBytes == int64(len(long))
		})
		if f.Recording.Gaps != 1 || !strings.Contains(f.Recording.Error, "no space left on device") {
			t.Errorf("the gap is told as %+v", f.Recording)
		}
		full, before := s.recorded("cam")
		if len(before) == 0 || int64(len(before)) != f.Recording.Bytes || !bytes.HasPrefix(long, before) {
			t.Errorf("%d bytes of %d are no prefix of the stream", len(before), f.Recording.Bytes)
		}

		if err := os.Remove(full); err != nil { // as who cleans up does
			t.Fatal(err)
		}
		s.untilRecordedAgain("cam")
		s.stop()
		all := viewer.bytes(t)
		path, after := s.recorded("cam")
		if path == full || len(after) == 0 || !bytes.HasSuffix(all, after) || !bytes.HasPrefix(all, long) {
			t.Errorf("%s: %d bytes are no end of the %d that the viewer got", path, len(after), len(all))
		}
	})
}
