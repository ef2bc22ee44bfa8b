package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/bench/internal/table"
)

func TestEveryGoalIsAgainstAKindThatIsThere(t *testing.T) {
	for _, c := range comparisons() {
		for _, g := range c.goals {
			if g.against != "" && !slices.ContainsFunc(c.kinds, func(k kind) bool { return k.name == g.against }) {
				t.Errorf("%s: no %s", c.name, g.against)
			}
		}
		if c.kinds[0].name != "penstock" {
			t.Errorf("%s: the first kind is %s", c.name, c.kinds[0].name)
		}
	}
}

func TestAVerdictTakesRatiosWithinTheRound(t *testing.T) {
	// The machine is ten times slower in the second round: the ratio is 2 in both all the same.
	tab := table.New("x", []string{"penstock", "tee"}, streamMetrics)
	tab.Samples = [][]table.Sample{
		{{Values: []float64{20, 1}}, {Values: []float64{2, 10}}},
		{{Values: []float64{10, 4}}, {Values: []float64{1, 40}}},
	}
	for _, c := range []struct {
		goal
		state string
	}{
		{atLeast(2, "tee"), "met"},
		{atLeast(2.1, "tee"), "**missed**"},
		{atMost(0.25, "tee"), "met"},
		{atMost(0.2, "tee"), "**missed**"},
		{goal{"", rate, 0, 5}, "missed, but not in every round"},
	} {
		if _, has, state, known := c.verdict(tab); state != c.state || !known {
			t.Errorf("%+v: %s, %s", c.goal, has, state)
		}
	}
	if _, _, _, known := atLeast(1, "pv").verdict(tab); known {
		t.Error("a kind that is not there has a verdict")
	}
}

// TestEveryKindCarriesEveryByte runs each once with 2 MB. Those whose programs are not installed are left out.
func TestEveryKindCarriesEveryByte(t *testing.T) {
	w, err := newWorkplace(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.remove()
	m := measurer{workplace: w, attempts: 1}
	if err := m.verify(comparisons()); err != nil {
		t.Error(err)
	}
	for _, c := range comparisons() {
		tab, err := m.compare(c, 1, 1)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var out strings.Builder
		if err := tab.Print(&out); err != nil || !strings.Contains(out.String(), "penstock") {
			t.Errorf("%s: %q, %v", c.name, out.String(), err)
		}
	}
}
