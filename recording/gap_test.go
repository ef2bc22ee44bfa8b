package recording_test

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// TestAFileThatCannotBeMadeIsTriedAgain has Create fail from the beginning, for 3.5 s of a stream of 1000 bytes a 100
// ms.
func TestAFileThatCannotBeMadeIsTriedAgain(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			w := record(t, t.TempDir(), open(t), recording.Config{})
			w.refusing(syscall.EROFS)
			for i := range 100 {
				if i == 35 {
					w.refusing(nil)
				}
				w.offer(1000)
				if i == 20 {
					st := w.rec.Status()
					if !st.GapSince.Equal(begun) || st.GapBytes != 21_000 || !errors.Is(st.Err, syscall.EROFS) {
						t.Errorf("in the gap: %+v", st)
					}
					gap := (*recording.GapError)(nil)
					want := recording.GapError{To: 21_000, Err: syscall.EROFS}
					if _, _, err := w.rec.Open(5); !errors.As(err, &gap) || *gap != want {
						t.Errorf("in the gap Open says %v", err)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
			// Tried at 0, 1, 3 and 7 seconds.
			files, gaps := w.tiles()
			wantGaps, wantFiles := []run{{0, 70_000}}, []run{{70_000, 100_000}}
			if !slices.Equal(gaps, wantGaps) || !slices.Equal(files, wantFiles) || w.asked != 4 {
				t.Errorf("gaps %v, files %v after %d attempts", gaps, files, w.asked)
			}
			if off, at, ok := w.rec.Find(begun); off != 70_000 || !at.Equal(begun.Add(7*time.Second)) || !ok {
				t.Errorf("the recording begins at %d, %v, %v", off, at, ok)
			}
			w.stop()
			x := w.index()
			want := recording.IndexRun{To: 70_000, At: begun.UTC(), Reason: syscall.EROFS.Error()}
			if !slices.Equal(x.Gaps, []recording.IndexRun{want}) {
				t.Errorf("the index has the gaps %v", x.Gaps)
			}
			told := w.said(recording.GapBegun, recording.GapEnded)
			if len(told) != 2 || told[0].Kind != recording.GapBegun || told[1].To != 70_000 ||
				told[1].Err != error(syscall.EROFS) {
				t.Errorf("told is %+v", told)
			}
		})
	})
}

// TestAfterAGapASegmentBeginsAtAJoinPoint, and without one for ten times the backoff anywhere.
func TestAfterAGapASegmentBeginsAtAJoinPoint(t *testing.T) {
	for name, tc := range map[string]struct {
		joins []int64
		want  int64 // a retry is due at 10,000
	}{
		"within a run":         {[]int64{0, 5000, 9000, 14_500}, 14_500},
		"at a run":             {[]int64{0, 20_000}, 20_000},
		"only before the time": {[]int64{0, 9_999}, 110_000},
		"never":                {nil, 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{})
				w.refusing(syscall.EIO)
				for i := range 130 {
					for _, off := range tc.joins {
						if off >= w.off && off < w.off+1000 {
							w.rec.Mark(off, time.Now())
						}
					}
					w.offer(1000)
					w.refusing(nil)
					time.Sleep(100 * time.Millisecond)
					if i == 0 && w.asked != 1 {
						t.Errorf("%d attempts", w.asked)
					}
				}
				w.tiles()
				w.stop()
				if got := starts(w.index()); !slices.Equal(got, []int64{tc.want}) {
					t.Errorf("segments begin at %v, not at %d", got, tc.want)
				}
			})
		})
	}
}

// TestABrokenDiskIsWaitedForOnceARun has it take longer to fail than until the next attempt.
func TestABrokenDiskIsWaitedForOnceARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{
			Create: func(time.Time) (*os.File, error) {
				asked++
				time.Sleep(time.Minute)
				return nil, syscall.EIO
			},
		})
		w.offer(10_000)
		w.offer(10_000) // within the backoff, which begins where the failure ended
		if asked != 1 {
			t.Errorf("%d attempts", asked)
		}
		w.stop()
	})
}

// TestADeviceWithoutSpaceLeavesNoEmptyFiles counts what is made and what is deleted.
func TestADeviceWithoutSpaceLeavesNoEmptyFiles(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("the device that is always full: %v", err)
	}
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		synctest.Test(t, func(t *testing.T) {
			made, removed := 0, 0
			w := record(t, t.TempDir(), open(t), recording.Config{
				Create: func(time.Time) (*os.File, error) { made++; return os.OpenFile("/dev/full", os.O_WRONLY, 0) },
				Remove: func(name string) error {
					if name != "/dev/full" {
						t.Errorf("removed is %q", name)
					}
					removed++
					return nil
				},
			})
			for range 40 {
				w.offer(1000)
				time.Sleep(time.Second)
			}
			files, gaps := w.tiles()
			if len(files) != 0 || !slices.Equal(gaps, []run{{0, 40_000}}) {
				t.Errorf("%v and %v", files, gaps)
			}
			// Tried at 0, 1, 3, 7, 15, 25 and 35 seconds.
			if made != 7 || removed != 7 {
				t.Errorf("%d files made, %d removed", made, removed)
			}
			st := w.rec.Status()
			if !errors.Is(st.Err, syscall.ENOSPC) || st.Gaps != 1 || st.Segments != 0 || st.File != "" {
				t.Errorf("%+v", st)
			}
			if told := w.said(recording.SegmentBegun, recording.SegmentEnded); len(told) != 0 {
				t.Errorf("told of segments: %+v", told)
			}
			w.stop()
			w.index()
		})
	})
}

// TestAFileThatCannotBeRemovedIsTold of with what was the reason.
func TestAFileThatCannotBeRemovedIsTold(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("the device that is always full: %v", err)
	}
	w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{
		Create: func(time.Time) (*os.File, error) { return os.OpenFile("/dev/full", os.O_WRONLY, 0) },
		Remove: func(string) error { return syscall.EBUSY },
	})
	w.offer(10)
	if err := w.rec.Status().Err; !errors.Is(err, syscall.EBUSY) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("told is %v", err)
	}
	w.stop()
}

// TestTheBackoffBeginsAnewAfterASegmentThatLasted has Create fail, work for a while, and fail again.
func TestTheBackoffBeginsAnewAfterASegmentThatLasted(t *testing.T) {
	for _, tc := range []struct {
		lasted time.Duration
		want   time.Duration // until the next attempt
	}{{5 * time.Second, 4 * time.Second}, {10 * time.Second, time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Skip(err)
			}
			full.Close()
			asked, begun := 0, time.Time{}
			var w *world
			w = record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{
				SegmentTime: tc.lasted,
				Create: func(at time.Time) (*os.File, error) {
					if asked++; asked == 3 { // after 1 and 2 s
						return w.create(at)
					}
					begun = time.Now()
					return nil, syscall.EIO
				},
			})
			until := func(n int) {
				for asked < n {
					w.offer(10)
					time.Sleep(100 * time.Millisecond)
				}
			}
			until(4)
			failed := begun
			until(5)
			if got := begun.Sub(failed); got != tc.want {
				t.Errorf("after a segment of %v the next attempt is after %v", tc.lasted, got)
			}
			w.stop()
		})
	}
}

// TestADiskThatIsFullAHundredTimes has no room for every other segment.
func TestADiskThatIsFullAHundredTimes(t *testing.T) {
	const times = 100
	synctest.Test(t, func(t *testing.T) {
		w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{SegmentBytes: 1000})
		for range times {
			w.refusing(nil)
			w.offer(1000)
			w.refusing(syscall.ENOSPC)
			w.offer(1000)
			if st := w.rec.Status(); st.GapSince.IsZero() || !errors.Is(st.Err, syscall.ENOSPC) {
				t.Fatalf("without room: %+v", st)
			}
			time.Sleep(time.Minute) // longer than any backoff
		}
		files, gaps := w.tiles()
		if len(files) != times || len(gaps) != times {
			t.Fatalf("%d files and %d gaps", len(files), len(gaps))
		}
		for i := range int64(times) {
			if files[i] != (run{2000 * i, 2000*i + 1000}) || gaps[i] != (run{2000*i + 1000, 2000*i + 2000}) {
				t.Errorf("time %d: %v, and a gap %v", i+1, files[i], gaps[i])
			}
		}
		w.stop()
	})
}
