package recording_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// TestSegmentsTogetherAreTheStream records runs of random sizes with join points at random places, and computes where
// segments must begin.
func TestSegmentsTogetherAreTheStream(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		for range 8 {
			seed := rand.Uint64()
			t.Logf("seed %#x", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			limit := 3000 + rnd.Int64N(100_000)
			apart := 300 + rnd.Int64N(80_000)
			w := record(t, t.TempDir(), open(t), recording.Config{SegmentBytes: limit})
			joins := []int64{0}
			w.mark()
			next := rnd.Int64N(apart)
			for range 100 {
				n := 1 + rnd.IntN(40_000)
				for ; next < w.off+int64(n); next += 1 + rnd.Int64N(apart) {
					w.rec.Mark(next, time.Now())
					if next > 0 {
						joins = append(joins, next)
					}
				}
				w.offer(n)
			}
			w.tiles()
			w.stop()
			x := w.index()
			if got, want := starts(x), cuts(joins, limit, w.off); !slices.Equal(got, want) {
				t.Errorf("with a limit of %d segments begin at\n%v, not at\n%v", limit, got, want)
			}
			var marked []int64
			for _, p := range x.Places {
				if p.Join {
					marked = append(marked, p.Off)
				}
			}
			if !slices.Equal(marked, joins) {
				t.Errorf("the index has the join points\n%v, not\n%v", marked, joins)
			}
		}
	})
}

// cuts returns where segments begin: at the first join point from the limit on, or at twice the limit.
func cuts(joins []int64, limit, end int64) []int64 {
	begin := []int64{0}
	for {
		last := begin[len(begin)-1]
		next := last + 2*limit
		if i, _ := slices.BinarySearch(joins, last+limit); i < len(joins) {
			next = min(next, joins[i])
		}
		if next >= end {
			return begin
		}
		begin = append(begin, next)
	}
}

// TestWithoutJoinPointsASegmentEndsExactlyAtItsSize has runs that span several segments.
func TestWithoutJoinPointsASegmentEndsExactlyAtItsSize(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		w := record(t, t.TempDir(), open(t), recording.Config{SegmentBytes: 10_001})
		for _, n := range []int{1, 10_000, 10_001, 30_003, 5, 65_536} {
			w.offer(n)
		}
		w.stop()
		var want []int64
		for off := int64(0); off < w.off; off += 10_001 {
			want = append(want, off)
		}
		if got := starts(w.index()); !slices.Equal(got, want) {
			t.Errorf("segments begin at %v, not at %v", got, want)
		}
	})
}

// TestASegmentBeginsAtAJoinPointOfItsTime has a byte every 100 ms and segments of a second.
func TestASegmentBeginsAtAJoinPointOfItsTime(t *testing.T) {
	for name, tc := range map[string]struct {
		join func(tenth int) bool
		want []int64
	}{
		"every 0.4 s":   {func(i int) bool { return i%4 == 0 }, []int64{0, 12, 24, 36}},
		"once":          {func(i int) bool { return i == 0 }, []int64{0, 20, 40}},
		"every 1.5 s":   {func(i int) bool { return i%15 == 0 }, []int64{0, 15, 30, 45}},
		"without joins": {func(int) bool { return false }, []int64{0, 10, 20, 30, 40}},
	} {
		t.Run(name, func(t *testing.T) {
			backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
				synctest.Test(t, func(t *testing.T) {
					begun := time.Now()
					w := record(t, t.TempDir(), open(t), recording.Config{SegmentTime: time.Second})
					for i := range 47 {
						if tc.join(i) {
							w.mark()
						}
						w.offer(1)
						time.Sleep(100 * time.Millisecond)
					}
					if st := w.rec.Status(); st.Duration != 4600*time.Millisecond || !st.Begun.Equal(begun) {
						t.Errorf("%v from %v on", st.Duration, st.Begun)
					}
					w.stop()
					x := w.index()
					if got := starts(x); !slices.Equal(got, tc.want) {
						t.Errorf("segments begin at %v, not at %v", got, tc.want)
					}
					for _, s := range x.Segments {
						if at := begun.Add(time.Duration(s.From) * 100 * time.Millisecond); !s.At.Equal(at) {
							t.Errorf("the segment at %d begins at %v, not at %v", s.From, s.At, at)
						}
					}
				})
			})
		})
	}
}

// TestWhatIsWrittenLateIsCutWhereItWouldHaveBeen offers ten seconds of stream at once: a join point's own time counts.
func TestWhatIsWrittenLateIsCutWhereItWouldHaveBeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{SegmentTime: time.Second})
		for i := range 101 {
			if i%8 == 0 {
				w.rec.Mark(int64(i), time.Now())
			}
			time.Sleep(100 * time.Millisecond)
		}
		w.offer(97)
		w.stop()
		if got, want := starts(w.index()), []int64{0, 16, 32, 48, 64, 80, 96}; !slices.Equal(got, want) {
			t.Errorf("segments begin at %v, not at %v", got, want)
		}
	})
}

// TestTheFirstFileIsMadeWithTheFirstData also tells what a recording without data leaves: nothing.
func TestTheFirstFileIsMadeWithTheFirstData(t *testing.T) {
	w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{})
	w.mark()
	if w.asked != 0 {
		t.Error("a file is made before the first data")
	}
	if _, _, ok := w.rec.Find(time.Now()); ok {
		t.Error("a place is found before the first data")
	}
	w.stop()
	if all, err := os.ReadDir(w.dir); len(all) != 0 || err != nil {
		t.Errorf("there are %v, %v", all, err)
	}
}

// TestAfterCloseNothingIsTakenAndEverythingCanBeRead also closes twice.
func TestAfterCloseNothingIsTakenAndEverythingCanBeRead(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		w := record(t, t.TempDir(), open(t), recording.Config{})
		w.offer(50_000)
		name := w.rec.Status().File
		if name != w.made[0] {
			t.Errorf("the file being written is %q, not %q", name, w.made[0])
		}
		if err := w.rec.Close(errors.New("the camera went home")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.pipe.Write(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if n, err := w.rec.SpliceWrite(w.pipe, 10, 0); n != 0 || !errors.Is(err, os.ErrClosed) || w.pipe.Len() != 10 {
			t.Errorf("after Close: %d, %v, and %d bytes in the pipe", n, err, w.pipe.Len())
		}
		w.tiles()
		if st := w.rec.Status(); !st.Closed || st.File != "" || st.Bytes != 50_000 || st.Segments != 1 {
			t.Errorf("%+v", st)
		}
		if x := w.index(); x.End.Reason != "the camera went home" {
			t.Errorf("%+v", x.End)
		}
		w.stop()
		if ended := w.said(recording.SegmentEnded); len(ended) != 1 || ended[0].To != 50_000 || ended[0].Err != nil {
			t.Errorf("%+v", ended)
		}
	})
}

// TestAnErrorOfThePipeIsNotTheDisks goes on with another pipe after one was closed, also before any data came.
func TestAnErrorOfThePipeIsNotTheDisks(t *testing.T) {
	backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
		w := record(t, t.TempDir(), open(t), recording.Config{})
		for range 2 {
			w.pipe.Close()
			n, err := w.rec.SpliceWrite(w.pipe, 900, 0)
			if side, told := penstock.SideOf(err); n != 0 || err == nil || told && side == penstock.SideSink {
				t.Errorf("%d, %v", n, err)
			}
			w.pipe = open(t)
			w.offer(1000)
		}
		if st := w.rec.Status(); st.Gaps != 0 || st.Bytes != 2000 || st.Segments != 1 {
			t.Errorf("%+v", st)
		}
		w.tiles()
		w.stop()
	})
}

// TestAPipeThatFailsBeforeTheFirstByteLeavesNoFile closes then.
func TestAPipeThatFailsBeforeTheFirstByteLeavesNoFile(t *testing.T) {
	w := record(t, t.TempDir(), penstock.NewPipe(0), recording.Config{})
	w.pipe.Close()
	if _, err := w.rec.SpliceWrite(w.pipe, 900, 0); err == nil {
		t.Error("a closed pipe has data")
	}
	w.stop()
	if all, err := os.ReadDir(w.dir); len(all) != 0 || err != nil {
		t.Errorf("there are %v, %v", all, err)
	}
}

// TestAllocatesNoMoreThanItsFile is about the steady state, with and without join points, beside a bare sink.
func TestAllocatesNoMoreThanItsFile(t *testing.T) {
	for _, joins := range []bool{false, true} {
		backings(t, func(t *testing.T, open func(testing.TB) penstock.Conduit) {
			w := record(t, t.TempDir(), open(t), recording.Config{SegmentBytes: 1 << 40})
			f, err := os.Create(filepath.Join(t.TempDir(), "bare"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := make([]byte, 4096)
			into := func(sink penstock.Sink) func() {
				return func() {
					if joins {
						w.mark()
					}
					w.off += int64(len(b))
					if _, err := w.pipe.Write(b); err != nil {
						t.Fatal(err)
					}
					if _, err := sink.SpliceWrite(w.pipe, len(b), 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			once := into(w.rec)
			for range 300 { // places and marks have room now
				once()
			}
			n := testing.AllocsPerRun(150, once)
			if bare := testing.AllocsPerRun(150, into(penstock.SinkOf(f))); n > bare {
				t.Errorf("%v allocations in a SpliceWrite, %v in the file's", n, bare)
			}
			w.stop()
		})
	}
}
