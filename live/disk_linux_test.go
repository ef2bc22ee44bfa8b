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

// TestAFullDiskEndsTheRecordingOnly records to a file system of 1 MiB. What is on it is a prefix of the stream; the
// viewer gets everything, and so does the next publisher's.
func TestAFullDiskEndsTheRecordingOnly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	backings(t, func(t *testing.T, cfg live.Config) {
		cfg.Grace = time.Second
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
		want := bytes.Repeat([]byte("0123456789abcde\n"), 256<<10) // 4 MiB
		if status, body := s.put("cam", string(want)); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
		same(t, "viewer", viewer.bytes(t), want)
		f := s.until("cam", "told of the error", func(f facts) bool { return f.RecordingError != "" })
		if !strings.Contains(f.RecordingError, "no space left on device") {
			t.Errorf("the error is told as %q", f.RecordingError)
		}
		if _, rec := s.recorded("cam"); len(rec) == 0 || !bytes.HasPrefix(want, rec) {
			t.Errorf("%d bytes are no prefix of the stream", len(rec))
		}
	})
}
