package main

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/penstock-io/penstock/bench/internal/role"
)

func TestMain(m *testing.M) {
	if name := role.Mine(); name != "" {
		role.Exit(name, playRole(name))
	}
	os.Exit(m.Run())
}

func TestARunOfFourProcessesHasAllItsFigures(t *testing.T) {
	for name, s := range map[string]runSpec{
		"bulk":     {Viewers: 3, Size: 8 << 20},
		"messages": {Viewers: 3, Size: 1000 * 1400, Message: 1400},
		"paced":    {Viewers: 10, Size: 100 * 1400, Message: 1400, Every: time.Millisecond, TLS: 3},
		"recorded": {Viewers: 2, Size: 4 << 20, Record: t.TempDir(), TLS: 2},
	} {
		s.Send, s.Drain = "write", "discard"
		t.Run(name, func(t *testing.T) {
			for _, kind := range everyKind(s.TLS == 0) {
				s.Kind = kind
				got, err := measure(s)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				for i, m := range s.metrics() {
					if v := got.Values[i]; math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
						t.Errorf("%s: %s is %g", kind, m.Name, v)
					}
				}
			}
		})
	}
}
