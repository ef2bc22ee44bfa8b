package delays

import (
	"encoding/json"
	"testing"
	"time"
)

func TestEveryDurationIsInABucketNotMuchWiderThanItIs(t *testing.T) {
	for _, ns := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 999_999, 1 << 20, 1<<20 - 1, 40e9, 1<<37 - 1} {
		b := bucketOf(ns)
		if b >= buckets {
			t.Fatalf("%d ns: bucket %d of %d", ns, b, buckets)
		}
		if m := uint64(most(b)); m < ns || float64(m) > float64(ns)*(1+1.0/32) {
			t.Errorf("%d ns: a bucket up to %d", ns, m)
		}
		if b > 0 && uint64(most(b-1)) >= ns {
			t.Errorf("%d ns: belongs to the bucket before %d", ns, b)
		}
	}
	if b := bucketOf(1 << 62); b != buckets-1 {
		t.Errorf("what is far too long: bucket %d, want the last, %d", b, buckets-1)
	}
}

func TestQuantilesOfAThousandMilliseconds(t *testing.T) {
	var odd, all Delays
	for i := 1; i <= 1000; i++ {
		d := &all
		if i%2 == 1 {
			d = &odd
		}
		d.Add(time.Duration(i) * time.Millisecond)
	}
	text, err := json.Marshal(odd)
	if err != nil {
		t.Fatal(err)
	}
	var travelled Delays
	if err := json.Unmarshal(text, &travelled); err != nil {
		t.Fatal(err)
	}
	all.Merge(travelled)
	for q, want := range map[float64]time.Duration{0: 1e6, 0.5: 501e6, 0.99: 991e6, 1: 1000e6} {
		if got := all.Quantile(q); got < want || got > want+want/32 {
			t.Errorf("quantile %g: %v, want %v", q, got, want)
		}
	}
	if all.Count != 1000 || all.Max != time.Second {
		t.Errorf("%d counted, at most %v", all.Count, all.Max)
	}
}

func TestOfNothingEveryQuantileIsZero(t *testing.T) {
	var none Delays
	none.Merge(Delays{})
	if got := none.Quantile(0.5); got != 0 {
		t.Errorf("%v", got)
	}
}
