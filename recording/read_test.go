package recording_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// TestWhatIsWrittenCanBeReadAtOnce follows the stream, and asks for offsets where there is nothing.
func TestWhatIsWrittenCanBeReadAtOnce(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		w := record(t, t.TempDir(), open(t), recording.Config{SegmentBytes: 10_000})
		for range 30 {
			for _, off := range []int64{w.off, w.off + 1} {
				if f, n, err := w.rec.Open(off); f != nil || n != 0 || err != nil {
					t.Errorf("at %d of %d: %v, %d, %v", off, w.off, f, n, err)
				}
			}
			if f, n, err := w.rec.Open(-1); f != nil || n != 0 || !errors.Is(err, recording.ErrOutside) {
				t.Errorf("before the beginning: %v, %d, %v", f, n, err)
			}
			w.offer(1777)
			f, n, err := w.rec.Open(w.off - 1)
			if n != 1 || err != nil {
				t.Fatalf("at %d of %d: %d, %v", w.off-1, w.off, n, err)
			}
			b := make([]byte, 2)
			if m, err := f.Read(b); m != 1 || err != nil {
				t.Errorf("%d bytes, %v", m, err)
			}
			f.Close()
			w.same("the last byte", b[:1], w.off-1)
		}
		w.tiles()
		w.stop()
	})
}

// TestReadersDoNotDisturb reads from random places, and asks for everything else, while a stream with failures is
// written.
func TestReadersDoNotDisturb(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		w := record(t, t.TempDir(), open(t), recording.Config{
			SegmentBytes: 20_000, Retry: time.Microsecond, Sync: time.Millisecond,
		})
		over := make(chan struct{})
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				b := make([]byte, 64<<10)
				for off, reads := int64(0), 0; ; {
					if gap := (*recording.GapError)(nil); off < w.rec.End() {
						f, n, err := w.rec.Open(off)
						switch {
						case errors.As(err, &gap):
							off = gap.To
						case err != nil:
							t.Errorf("at %d: %v", off, err)
							return
						default:
							n = min(n, int64(len(b)))
							if _, err := io.ReadFull(f, b[:n]); err != nil {
								t.Errorf("%d bytes at %d: %v", n, off, err)
							}
							f.Close()
							w.same("a reader", b[:n], off)
							off += n
						}
						if reads++; reads%10 == 0 {
							off = rand.Int64N(w.rec.End())
						}
						continue
					}
					st := w.rec.Status()
					if st.Bytes < 0 || st.GapBytes < 0 {
						t.Errorf("%+v", st)
					}
					if found, _, ok := w.rec.Find(time.Now()); ok && found >= w.rec.End() {
						t.Errorf("found is %d, which is not recorded", found)
					}
					select {
					case <-over:
						return
					case <-time.After(50 * time.Microsecond):
					}
				}
			})
		}
		for i := range 1500 {
			if i%7 == 0 {
				w.mark()
			}
			if i%100 == 50 {
				w.refusing(syscall.ENOSPC)
			}
			w.offer(100 + i)
			if i%100 == 60 {
				w.refusing(nil)
			}
		}
		close(over)
		readers.Wait()
		if _, gaps := w.tiles(); len(gaps) == 0 {
			t.Error("there was no gap")
		}
		w.stop()
		w.index()
	})
}

// TestHalfAMinuteAgoIsFound has a join point every 2 s, or none.
func TestHalfAMinuteAgoIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		every int
		want  int64 // 30.05 s before the end of 60 s, at 1000 bytes a 100 ms
	}{
		"join points":    {20, 280_000},
		"no join points": {0, 295_000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{SegmentTime: 7 * time.Second})
				for i := range 600 {
					if tc.every > 0 && i%tc.every == 0 {
						w.mark()
					}
					w.offer(1000)
					time.Sleep(100 * time.Millisecond)
				}
				w.rec.Mark(w.off, time.Now()) // is not on the disk
				off, at, ok := w.rec.Find(time.Now().Add(-30050 * time.Millisecond))
				if off != tc.want || !at.Equal(begun.Add(time.Duration(tc.want/10)*time.Millisecond)) || !ok {
					t.Errorf("found is %d at %v, %v, not %d", off, at, ok, tc.want)
				}
				if off, at, ok := w.rec.Find(begun.Add(-time.Hour)); off != 0 || !at.Equal(begun) || !ok {
					t.Errorf("the beginning is %d at %v, %v", off, at, ok)
				}
				if off, _, _ := w.rec.Find(time.Now()); off >= w.off {
					t.Errorf("%d is found of %d", off, w.off)
				}
				w.stop()
			})
		})
	}
}

// TestJoinPointsInMemoryAreBounded makes more than fit: what is found is early by a 4000th of its age at most, so that
// those of late are all known.
func TestJoinPointsInMemoryAreBounded(t *testing.T) {
	begun := time.Now()
	w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{})
	const joins = 5 * recording.MaxPlaces
	at := func(i int) time.Time { return begun.Add(time.Duration(i) * time.Second) }
	for i := 0; i < joins; i += 1024 {
		for j := range 1024 {
			w.rec.Mark(int64(8*(i+j)), at(i+j))
		}
		w.offer(8 * 1024)
	}
	places, waiting := w.rec.Kept()
	if places > recording.MaxPlaces || places < recording.MaxPlaces/2 || waiting != 0 {
		t.Errorf("%d places and %d marks are kept", places, waiting)
	}
	for i := range joins {
		off, found, ok := w.rec.Find(at(i))
		if !ok || off > int64(8*i) || off%8 != 0 || !found.Equal(at(int(off/8))) {
			t.Fatalf("join point %d of %d: found is %d, %v, %v", i, joins, off, found, ok)
		}
		if early, age := i-int(off/8), joins-i; early > age/4000 {
			t.Fatalf("join point %d of %d: found is the one %d before", i, joins, early)
		}
	}
	w.stop()
}

// TestMarksThatNobodyFetchesAreBounded marks and does not write.
func TestMarksThatNobodyFetchesAreBounded(t *testing.T) {
	w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{})
	for i := range 5 * recording.MaxMarks {
		w.rec.Mark(int64(i), time.Now())
	}
	if _, waiting := w.rec.Kept(); waiting > recording.MaxMarks {
		t.Errorf("%d marks are kept", waiting)
	}
	w.offer(1000)
	w.stop()
}

// TestJoinPointsThatComeLateAreNotMadeUp has a stream show its first one after 2 s, a clock that goes back, and a mark
// for what was dropped.
func TestJoinPointsThatComeLateAreNotMadeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{})
		find := func(after time.Duration, want int64) {
			t.Helper()
			if off, at, ok := w.rec.Find(begun.Add(after)); off != want || at.After(begun.Add(after)) || !ok {
				t.Errorf("of %v found is %d at %v, %v, not %d", after, off, at.Sub(begun), ok, want)
			}
		}
		for range 20 {
			w.offer(1000)
			time.Sleep(100 * time.Millisecond)
		}
		find(1800*time.Millisecond, 15_000)
		w.mark()
		w.offer(1000)
		find(1800*time.Millisecond, 0)
		find(2*time.Second, 20_000)

		w.rec.Mark(w.off+500, begun.Add(time.Second))
		w.offer(1000)
		find(1800*time.Millisecond, 0)
		find(2*time.Second, 21_500)
		if _, at, _ := w.rec.Find(time.Now()); !at.Equal(begun.Add(2 * time.Second)) {
			t.Errorf("times do not ascend: %v", at.Sub(begun))
		}

		w.stop()
		w.index()
	})
}

// TestWhatWasDroppedIsNeverFound has a mark come too late, for a place in a gap.
func TestWhatWasDroppedIsNeverFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{})
		w.refusing(syscall.EIO)
		w.offer(1000)
		w.refusing(nil)
		time.Sleep(time.Second)
		w.rec.Mark(500, time.Now())
		w.mark()
		w.offer(1000)
		if off, _, ok := w.rec.Find(time.Now()); off != 1000 || !ok {
			t.Errorf("found is %d, %v", off, ok)
		}
		w.stop()
		if x := w.index(); len(x.Places) != 1 {
			t.Errorf("the index has %v", x.Places)
		}
	})
}
