package penstock

import (
	"runtime"
	"testing"
)

// TestARingIsNoLongerThanItIsChargedFor, whatever was asked for: nor was it while it was made.
func TestARingIsNoLongerThanItIsChargedFor(t *testing.T) {
	q := NewQuota(1, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := OpenPipe(PipeConfig{Slots: maxSlots, PageSize: MinPageSize, Quota: q})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Slots() != slotsBeyondSoft || len(p.ring) != slotsBeyondSoft || q.Used() != slotsBeyondSoft {
		t.Errorf("%d slots, a ring of %d, charged for %d", p.Slots(), len(p.ring), q.Used())
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes for a ring of %d", n, len(p.ring))
	}
}
