package live_test

import (
	"bytes"
	"errors"
	"io/fs"
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
		s.mountSmall("cam")
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

// TestADiskThatIsFullAHundredTimes fills a file system of 1 MiB, makes room, and fills it again. Each time the
// recording has a gap, and goes on; the viewer gets everything.
func TestADiskThatIsFullAHundredTimes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	t.Parallel()
	const times = 100
	s := start(t, live.Config{Grace: time.Hour, Drain: time.Minute, Retry: time.Millisecond})
	s.mountSmall("cam")
	s.announce("cam")
	viewer := s.watch("cam").background()
	s.untilViewers("cam", 1)
	piece := strings.Repeat("0123456789abcde\n", 80<<10) // 1.25 MiB
	for i := range times {
		s.put("cam", piece)
		f := s.until("cam", "told of the gap", func(f facts) bool {
			return f.Recording.GapSince != nil && f.Recording.Gaps == i+1
		})
		if !strings.Contains(f.Recording.Error, "no space left on device") {
			t.Fatalf("gap %d is told as %+v", i+1, f.Recording)
		}
		files, _ := s.segments("cam")
		for _, path := range files {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		s.untilRecordedAgain("cam")
	}
	f := s.until("cam", "written", func(f facts) bool { return f.Recording.Bytes+f.Recording.GapBytes == f.BytesIn })
	s.stop()
	if all := viewer.bytes(t); int64(len(all)) != f.BytesIn || strings.Count(string(all), piece) != times {
		t.Errorf("the viewer got %d bytes of %d", len(all), f.BytesIn)
	}
}

// mountSmall gives the stream's recording a file system of 1 MiB.
func (s *server) mountSmall(name string) {
	s.t.Helper()
	dir := filepath.Join(s.record, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Mount("penstock-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		s.t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	s.t.Cleanup(func() {
		s.stop()
		if err := syscall.Unmount(dir, 0); err != nil {
			s.t.Error(err)
		}
	})
}
