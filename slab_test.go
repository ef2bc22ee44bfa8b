package penstock

import (
	"testing"
)

// shardOf makes a shard that nobody else uses.
func shardOf(t *testing.T, heap bool) *shard {
	s := &shard{heapOnly: heap}
	t.Cleanup(func() {
		if n := s.inUse.Load(); n != 0 {
			t.Errorf("%d pages did not come home", n)
		}
		for s.idle != nil {
			s.dropIdleLocked(&s.idle).destroy()
		}
	})
	return s
}

// memories runs a test over slabs of both kinds.
func memories(t *testing.T, test func(t *testing.T, s *shard)) {
	t.Run("mapped", func(t *testing.T) { test(t, shardOf(t, false)) })
	t.Run("heap", func(t *testing.T) { test(t, shardOf(t, true)) })
}

func TestPagesOfEverySizeAreApart(t *testing.T) {
	memories(t, func(t *testing.T, s *shard) {
		var pages []*page
		for class := range sizeClasses {
			for range 5 {
				pg := s.get(class)
				if len(pg.data) != MinPageSize<<class {
					t.Fatalf("class %d: a page of %d bytes", class, len(pg.data))
				}
				pages = append(pages, pg)
			}
		}
		for i, pg := range pages {
			pg.data[0], pg.data[len(pg.data)-1] = byte(i), byte(i)
		}
		for i, pg := range pages {
			if pg.data[0] != byte(i) || pg.data[len(pg.data)-1] != byte(i) {
				t.Errorf("page %d was written to by another", i)
			}
			pg.Release()
		}
	})
}

func TestAPageThatCameHomeIsTheNextToGo(t *testing.T) {
	memories(t, func(t *testing.T, s *shard) {
		a := s.get(0)
		a.Release()
		b := s.get(0)
		defer b.Release()
		if a != b {
			t.Error("another page")
		}
		if n := testing.AllocsPerRun(100, func() { s.get(0).Release() }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func TestIdleSlabsGoBackToTheSystem(t *testing.T) {
	memories(t, func(t *testing.T, s *shard) {
		const class = sizeClasses - 1 // a slab each
		var pages []*page
		for range 2 * maxIdle / slabSize {
			pages = append(pages, s.get(class))
		}
		held := func() (n int) {
			for sl := s.idle; sl != nil; sl = sl.next {
				n += len(sl.memory)
			}
			if n != s.kept {
				t.Errorf("%d bytes are idle, %d are said to be", n, s.kept)
			}
			return n
		}
		if n := held(); n != 0 {
			t.Errorf("%d bytes are idle while all are in use", n)
		}
		half := len(pages) / 2
		for _, pg := range pages[:half] {
			pg.Release()
		}
		if n := held(); n != maxIdle {
			t.Errorf("%d bytes are kept while half are in use, want %d", n, maxIdle)
		}
		again := s.get(class)
		if n := held(); n != maxIdle-slabSize {
			t.Errorf("%d bytes are kept, one slab of which is in use again", n)
		}
		again.Release()
		for _, pg := range pages[half:] {
			pg.Release()
		}
		if n := held(); n != leastIdle {
			t.Errorf("%d bytes are kept while none are in use, want %d", n, leastIdle)
		}
	})
}

func TestReleasingTwiceIsFoundOut(t *testing.T) {
	pg := foreignPage([]byte("x"), true, nil)
	pg.Release()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	pg.Release()
}
