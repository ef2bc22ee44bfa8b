package meter

import (
	"testing"
	"time"
)

func TestTheRateIsThatOfTheLastInterval(t *testing.T) {
	var r rates
	at := func(d time.Duration, bytes int64) figures {
		return r.observe(State{Elapsed: d, Bytes: bytes, Total: 10_000})
	}
	if f := at(0, 0); f.rate != 0 || f.average != 0 || f.left != -1 {
		t.Errorf("at the beginning: %+v", f)
	}
	if f := at(time.Second, 1000); f.rate != 1000 || f.average != 1000 || f.left != 9*time.Second {
		t.Errorf("after a second: %+v", f)
	}
	if f := at(2*time.Second, 1000); f.rate != 0 || f.average != 500 || f.left != 18*time.Second {
		t.Errorf("after one in which nothing has moved: %+v", f)
	}
	if f := at(2*time.Second+10*time.Millisecond, 1500); f.rate != 0 || f.Bytes != 1500 {
		t.Errorf("10 ms later: %+v", f)
	}
	if f := at(3*time.Second, 2000); f.rate != 1000 {
		t.Errorf("the interval's rate with what was in those 10 ms: %+v", f)
	}
	f := r.observe(State{Elapsed: 4 * time.Second, Bytes: 10_000, Total: 10_000, Ended: true})
	if f.rate != 2500 || f.average != 2500 || f.left != -1 {
		t.Errorf("at the end: %+v", f)
	}
}

func TestTheTimeLeftGoesByTheLastThirtySeconds(t *testing.T) {
	var r rates
	f := figures{}
	for s := range 31 { // 30 s with 1,000 bytes each
		f = r.observe(State{Elapsed: time.Duration(s) * time.Second, Bytes: int64(s) * 1000, Total: 100_000})
	}
	if f.left != 70*time.Second {
		t.Errorf("in step: %v", f.left)
	}
	for s := 31; s <= 60; s++ { // and 30 s with 500
		f = r.observe(State{Elapsed: time.Duration(s) * time.Second, Bytes: 30_000 + int64(s-30)*500, Total: 100_000})
	}
	if f.left != 110*time.Second || f.rate != 500 || f.average != 750 {
		t.Errorf("what was before is forgotten: %+v", f)
	}
	for s := 61; s <= 90; s++ {
		f = r.observe(State{Elapsed: time.Duration(s) * time.Second, Bytes: 45_000, Total: 100_000})
	}
	if f.left != -1 || f.rate != 0 {
		t.Errorf("after 30 s in which nothing has moved: %+v", f)
	}
	if len(r.samples) > 33 {
		t.Errorf("%d samples are kept", len(r.samples))
	}
}

func TestTheTimeLeftIsNotToldWhereItCannotBe(t *testing.T) {
	for name, s := range map[string]State{
		"size not known": {Total: -1, Bytes: 1},
		"for ever":       {Total: 1 << 62, Bytes: 1},
		"over":           {Total: 100, Bytes: 1, Ended: true},
	} {
		s.Elapsed = time.Second
		if f := new(rates).observe(s); f.left != -1 {
			t.Errorf("%s: %v", name, f.left)
		}
	}
	if f := new(rates).observe(State{Total: 5, Bytes: 9, Elapsed: time.Second}); f.left != 0 {
		t.Errorf("more than had been said: %v", f.left)
	}
}

// TestWhatWasThereBeforeCountsForNoRate, but for what is left.
func TestWhatWasThereBeforeCountsForNoRate(t *testing.T) {
	f := new(rates).observe(State{Before: 8000, Bytes: 1000, Total: 10_000, Elapsed: time.Second})
	if f.rate != 1000 || f.average != 1000 || f.left != time.Second {
		t.Errorf("%+v", f)
	}
}

func TestAllIsThereOnlyAtAHundredPercent(t *testing.T) {
	for _, c := range []struct {
		here, total int64
		want        int
		known       bool
	}{
		{5, -1, 0, false},
		{0, 0, 100, true},
		{0, 10, 0, true},
		{999, 1000, 99, true},
		{1<<62 - 1, 1 << 62, 99, true},
		{1 << 62, 1 << 62, 100, true},
		{25, 10, 250, true},
	} {
		s := State{Bytes: c.here, Total: c.total}
		if n, known := s.percent(); n != c.want || known != c.known {
			t.Errorf("%d of %d: %d, %v", c.here, c.total, n, known)
		}
	}
}
