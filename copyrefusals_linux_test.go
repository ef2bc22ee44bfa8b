package penstock_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// smallDisk is a file system of so many bytes.
func smallDisk(t *testing.T, size int) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root mounts a tmpfs")
	}
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skip("no tmpfs: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestAFileSystemThatFillsUpLosesNothing has so many bytes left, which the file gets; the rest is resumed to another
// place.
func TestAFileSystemThatFillsUpLosesNothing(t *testing.T) {
	const disk = 256 << 10
	dir := smallDisk(t, disk)
	data := bytes.Repeat(pattern(64<<10), 6)
	turn := 0
	from := append(origins(), origin{"file of the same disk", func(t *testing.T, data []byte) io.Reader {
		f, err := os.OpenFile(filepath.Join(dir, "in"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if err := f.Truncate(int64(len(data))); err != nil { // of which no page is on the disk
			t.Fatal(err)
		}
		return f
	}})
	for _, from := range from {
		want := data
		if from.name == "file of the same disk" {
			want = make([]byte, len(data))
		}
		for _, flags := range []int{os.O_WRONLY, os.O_WRONLY | os.O_APPEND} {
			for i, left := range []int{0, 4 << 10, 100 << 10, disk} {
				if turn++; !exhaustive && i != turn/4%4 {
					continue
				}
				by := manners(t)[turn%4]
				t.Run(fmt.Sprintf("%s, %d left, flags %x, %s", from.name, left, flags, by.name), func(t *testing.T) {
					name := filepath.Join(dir, "out")
					ballast := filepath.Join(dir, "ballast")
					defer os.Remove(name)
					defer os.Remove(ballast)
					if err := os.WriteFile(ballast, make([]byte, disk-left), 0o600); err != nil {
						t.Fatal(err)
					}
					f, err := os.OpenFile(name, flags|os.O_CREATE, 0o600)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					src := from.open(t, want)
					rep, err := penstock.Copy(background, f, src, by.opts...)
					accounted(t, want, rep, failedAt(t, err, penstock.SideSink, rep.Delivered, syscall.ENOSPC))
					got, rerr := os.ReadFile(name)
					if rerr != nil || int64(len(got)) != rep.Delivered || !bytes.Equal(got, want[:len(got)]) {
						t.Errorf("the file has %d bytes of %d, or others, %v", len(got), rep.Delivered, rerr)
					}
					if rep.Delivered != int64(left) {
						t.Errorf("%d bytes had room, and not %d", rep.Delivered, left)
					}
					completes(t, want[rep.Delivered:], src, err, by.opts...)
				})
			}
		}
	}
}

// TestDevFullTakesNothing: splice(2) says EINVAL of it, and write(2) ENOSPC, which is the one that is told.
func TestDevFullTakesNothing(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 6)
	for i, from := range origins() {
		by := manners(t)[i%4]
		t.Run(from.name+", "+by.name, func(t *testing.T) {
			src := from.open(t, data)
			rep, err := penstock.Copy(background, tempDevice(t, "/dev/full"), src, by.opts...)
			accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, syscall.ENOSPC))
			completes(t, data, src, err, by.opts...)
		})
	}
}

// TestAFileThatIsAppendedToFromNowOnLosesNothing: splice(2) refuses O_APPEND, and it comes in the middle.
func TestAFileThatIsAppendedToFromNowOnLosesNothing(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 32)
	for _, from := range taps() {
		t.Run(from.name, func(t *testing.T) {
			src, in := from.open(t)
			f := tempFile(t, nil, os.O_RDWR)
			fed := make(chan struct{})
			go func() {
				defer close(fed)
				half := len(data) / 2
				in.Write(data[:half])
				if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFL, unix.O_APPEND); err != nil {
					t.Error(err)
				}
				in.Write(data[half:])
				in.Close()
			}()
			rep, err := penstock.Copy(background, f, src)
			for err != nil && !t.Failed() {
				failedAt(t, err, penstock.SideSink, rep.Delivered, syscall.EINVAL)
				rep, err = penstock.Resume(background, f, src, err)
			}
			<-fed
			if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, data) {
				t.Errorf("the file has %d bytes of %d, or others, %v", len(got), len(data), err)
			}
		})
	}
}

// TestAFileThatMayNotGrowLosesNothing lets a child limit the size of its files.
func TestAFileThatMayNotGrowLosesNothing(t *testing.T) {
	args := childArgs("TestLimitedChild")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(childEnv(t, "TestLimitedChild"), "PENSTOCK_DIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestLimitedChild")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLimitedChild copies into files that may not become longer than so many bytes.
func TestLimitedChild(t *testing.T) {
	isChild(t)
	signal.Ignore(syscall.SIGXFSZ)
	data := bytes.Repeat(pattern(64<<10), 6)
	dir := os.Getenv("PENSTOCK_DIR")
	limitFiles := func(n uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: unix.RLIM_INFINITY}); err != nil {
			t.Fatal(err)
		}
	}
	for turn, limit := range []int64{0, 1, 4097, 196_608, 300_001} {
		for i, from := range origins() {
			limitFiles(unix.RLIM_INFINITY) // for the source
			src := from.open(t, data)
			limitFiles(uint64(limit))
			by := manners(t)[(i+turn)%4]
			name := filepath.Join(dir, "out")
			out, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			rep, err := penstock.Copy(background, out, src, by.opts...)
			accounted(t, data, rep, failedAt(t, err, penstock.SideSink, limit, syscall.EFBIG))
			got, rerr := os.ReadFile(name)
			if rerr != nil || int64(len(got)) != limit || !bytes.Equal(got, data[:len(got)]) {
				t.Errorf("%s: the file has %d bytes of %d, or others, %v", from.name, len(got), limit, rerr)
			}
			completes(t, data[rep.Delivered:], src, err, by.opts...)
			if t.Failed() {
				t.Fatalf("%s, %s, limit %d: %v", from.name, by.name, limit, err)
			}
		}
	}
}
