package recording_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// tinyDisk mounts a file system of so many KiB for the test.
func tinyDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("penstock-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestAFullDiskLeavesAGap fills a disk of 256 KiB twice, and frees space in between.
func TestAFullDiskLeavesAGap(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		dir := tinyDisk(t, "256k")
		seed := rand.Uint64()
		t.Logf("seed %#x", seed)
		rnd := rand.New(rand.NewPCG(seed, 0))
		w := record(t, dir, open(t), recording.Config{Retry: time.Nanosecond, SegmentBytes: 70_000})
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 100<<10), 0o644); err != nil {
			t.Fatal(err)
		}
		until := func(full bool) {
			for range 1000 {
				if rnd.IntN(2) == 0 {
					w.rec.Mark(w.off+rnd.Int64N(3000), time.Now())
				}
				w.offer(3001 + rnd.IntN(9000))
				if full == !w.rec.Status().GapSince.IsZero() {
					return
				}
			}
			t.Fatalf("the disk did not become full, or free: %v", full)
		}
		until(true)
		w.offerMany(50_000, 7000)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		until(false)
		until(true)
		w.offerMany(50_000, 7000)
		files, gaps := w.tiles()
		if n := sum(files); n < 200<<10 || n > 256<<10 {
			t.Errorf("%d bytes were recorded on 256 KiB", n)
		}
		if len(gaps) < 2 {
			t.Errorf("the gaps are %v", gaps)
		}
		for _, e := range w.said(recording.GapBegun) {
			if !errors.Is(e.Err, syscall.ENOSPC) {
				t.Errorf("%+v", e)
			}
		}
		if err := os.Remove(w.made[0]); err != nil { // room for the rest of the index
			t.Fatal(err)
		}
		if _, _, err := w.rec.Open(0); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what was deleted: %v", err)
		}
		w.stop()
		f, err := os.Open(filepath.Join(dir, "index"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		x, err := recording.ReadIndex(f)
		if err != nil || x.End == nil || len(x.Gaps) < len(gaps) || len(x.Segments) != w.rec.Status().Segments {
			t.Errorf("the index says %+v, %v", x, err)
		}
	})
}

// TestAFileThatMayNotGrowIsLeftWhereItEnds lets the kernel cut writes in two: a process of its own may have files of
// 100,001 bytes only.
func TestAFileThatMayNotGrowIsLeftWhereItEnds(t *testing.T) {
	const limit = 100_001
	if os.Getenv("PENSTOCK_CHILD") != t.Name() {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=30s")
		cmd.Env = append(os.Environ(), "PENSTOCK_CHILD="+t.Name(), "GORACE=atexit_sleep_ms=0")
		said, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(said), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, said)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	old := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		w := record(t, t.TempDir(), open(t), recording.Config{Retry: time.Nanosecond})
		for w.off < 1_000_000 {
			w.offer(7919)
			time.Sleep(time.Microsecond) // the backoff
		}
		files, gaps := w.tiles()
		for i, f := range files {
			if f.len() != limit && i < len(files)-1 {
				t.Errorf("file %d has %v", i, f)
			}
		}
		for i, g := range gaps { // what was left of a run, as a retry is due with the next
			if g.from%7919 == 0 || g.to != (g.from/7919+1)*7919 {
				t.Errorf("gap %d is %v", i, g)
			}
		}
		if len(files) < 9 || len(gaps) < 8 {
			t.Errorf("%v and %v", files, gaps)
		}
		w.stop()
		if x := w.index(); len(x.Gaps) != len(gaps) || !strings.Contains(x.Gaps[0].Reason, "file too large") {
			t.Errorf("the index has the gaps %v", x.Gaps)
		}
	})
}

// TestNoDescriptorIsLeft counts them around a recording with failures, readers and an index.
func TestNoDescriptorIsLeft(t *testing.T) {
	count := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(all)
	}
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		once := func() {
			w := record(t, t.TempDir(), open(t), recording.Config{SegmentBytes: 5000, Retry: time.Nanosecond})
			for i := range 50 {
				if i%10 == 5 {
					w.refusing(syscall.EMFILE)
				}
				w.offer(3000)
				w.refusing(nil)
			}
			w.tiles()
			w.stop()
		}
		once() // whatever is made once is made
		before := count()
		once()
		if after := count(); after != before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}
