package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/bench/internal/rounds"
)

func TestEveryGoalIsAgainstAKindThatIsThere(t *testing.T) {
	for _, c := range comparisons() {
		for _, g := range c.Goals {
			for _, name := range g.Against {
				if !slices.ContainsFunc(c.Kinds, func(k kind) bool { return k.name == name }) {
					t.Errorf("%s: no %s", c.Name, name)
				}
			}
		}
		if c.Kinds[0].name != rounds.Penstock {
			t.Errorf("%s: the first kind is %s", c.Name, c.Kinds[0].name)
		}
	}
}

// TestEveryKindCarriesEveryByte runs each once with 2 MB. Those whose programs are not installed are left out.
func TestEveryKindCarriesEveryByte(t *testing.T) {
	w, err := newWorkplace(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.remove()
	all := comparisons()
	for i := range all {
		all[i].Kinds = present(all[i])
	}
	if err := w.verify(all); err != nil {
		t.Error(err)
	}
	results, err := rounds.Measure(rounds.Settings{Rounds: 1, Attempts: 1, Markdown: true}, all, w.measure, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := printReport(&out, w.size, 0, results); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !strings.Contains(out.String(), "\n### "+c.Title+"\n\n| kind |") {
			t.Errorf("no table of %s in\n%s", c.Name, &out)
		}
	}
}
