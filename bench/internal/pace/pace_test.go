package pace

import (
	"testing"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
)

func TestABeatIsNeverEarlyAndDoesNotDrift(t *testing.T) {
	const every = 2 * time.Millisecond
	b, err := Start(every)
	if err != nil {
		t.Fatal(err)
	}
	first := time.Duration(-1)
	for i := range 20 {
		if i == 5 {
			time.Sleep(3 * every) // late for some: they are due when they were
		}
		due, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		if first < 0 {
			first = due
		}
		if want := first + time.Duration(i)*every; due != want {
			t.Errorf("beat %d due at %v, want %v", i, due-first, want-first)
		}
		if now := machine.Monotonic(); now < due {
			t.Errorf("beat %d is %v early", i, due-now)
		}
	}
}
