package recording_test

import (
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// TestWhenItIsSynced counts syncs of a recording of three segments in 3 s.
func TestWhenItIsSynced(t *testing.T) {
	for name, tc := range map[string]struct {
		sync time.Duration
		want int
	}{
		"never":        {0, 0},
		"at each end":  {recording.SyncAtEnd, 3},
		"every 270 ms": {270 * time.Millisecond, 13}, // the last has everything: Close needs none
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var syncs atomic.Int64
				w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{Sync: tc.sync, SegmentBytes: 1000})
				w.rec.HookSync(func(f *os.File) error { syncs.Add(1); return f.Sync() })
				for range 30 {
					w.offer(100)
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
				}
				w.stop()
				if n := int(syncs.Load()); n != tc.want {
					t.Errorf("%d syncs, not %d", n, tc.want)
				}
			})
		})
	}
}

// TestNoWriteWaitsForASync has a sync that does not end.
func TestNoWriteWaitsForASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{Sync: time.Second, SegmentBytes: 10_000})
		stuck := make(chan struct{})
		w.rec.HookSync(func(*os.File) error { <-stuck; return nil })
		w.offer(100)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.offerMany(50_000, 500) // and four segments end
		w.tiles()
		if st := w.rec.Status(); st.Segments != 6 || len(w.said(recording.SegmentEnded)) != 0 {
			t.Errorf("%+v", st)
		}
		close(stuck)
		w.stop()
		if ended := w.said(recording.SegmentEnded); len(ended) != 6 {
			t.Errorf("%d segments have ended", len(ended))
		}
		w.index()
	})
}

// TestAFailingSyncPutsInDoubtWhatWasNotSynced has the second of the syncs fail: the stream is recorded on, in a new
// segment from the next join point on.
func TestAFailingSyncPutsInDoubtWhatWasNotSynced(t *testing.T) {
	for name, tc := range map[string]struct {
		join int64
		want []int64
	}{
		"a join point":   {9000, []int64{0, 9000}},
		"no join points": {-1, []int64{0, 8000}},
		"none to come":   {0, []int64{0, 48_000}}, // after ten times Retry
	} {
		t.Run(name, func(t *testing.T) {
			backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
				synctest.Test(t, func(t *testing.T) {
					cfg := recording.Config{Sync: 1950 * time.Millisecond, Retry: 2 * time.Second}
					w := record(t, t.TempDir(), open(t), cfg)
					syncs := 0
					w.rec.HookSync(func(f *os.File) error {
						if syncs++; syncs == 2 {
							return syscall.EIO
						}
						return f.Sync()
					})
					for w.off < 60_000 { // 2000 a second
						if w.off == tc.join || w.off == 0 && tc.join > 0 {
							w.mark()
						}
						w.offer(1000)
						time.Sleep(500 * time.Millisecond)
						synctest.Wait()
					}
					w.tiles()
					st := w.rec.Status()
					if st.Doubts != 1 || st.DoubtBytes != 4000 || st.Gaps != 0 || !errors.Is(st.Err, syscall.EIO) {
						t.Errorf("%+v", st)
					}
					w.stop()
					x := w.index()
					if got := starts(x); !slices.Equal(got, tc.want) {
						t.Errorf("segments begin at %v, not at %v", got, tc.want)
					}
					if len(x.Doubts) != 1 || x.Doubts[0].From != 4000 || x.Doubts[0].To != 8000 {
						t.Errorf("the index doubts %v", x.Doubts)
					}
					failed := w.said(recording.SyncFailed)
					if len(failed) != 1 {
						t.Fatalf("told is %+v", failed)
					}
					if e := failed[0]; e.File != w.made[0] || e.From != 4000 || e.To != 8000 {
						t.Errorf("told is %+v", e)
					}
				})
			})
		})
	}
}

// TestAFailingCloseIsTold of the segment it was, and by Close if that was the last one.
func TestAFailingCloseIsTold(t *testing.T) {
	w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{SegmentBytes: 1000})
	closes := 0
	w.rec.HookClose(func(f *os.File) error {
		closes++
		if closes != 2 {
			return errors.Join(f.Close(), syscall.EDQUOT)
		}
		return f.Close()
	})
	w.offer(2500)
	if err := w.rec.Close(nil); !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("Close: %v", err)
	}
	if err := w.rec.Close(nil); !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("Close again: %v", err)
	}
	w.pipe.Close()
	w.tiles()
	x := w.index()
	if len(x.Doubts) != 2 || x.Doubts[0].To != 1000 || x.Doubts[1].From != 2000 || x.Doubts[1].To != 2500 {
		t.Errorf("the index doubts %v", x.Doubts)
	}
	if st := w.rec.Status(); st.DoubtBytes != 1500 || st.Bytes != 2500 {
		t.Errorf("%+v", st)
	}
}
