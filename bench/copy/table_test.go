package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/bench/internal/spread"
)

// streamTable has the given rates and CPU times, kind by kind and round by round.
func streamTable(kinds []string, values ...[][]float64) table {
	t := table{comparison: comparison{name: "x", title: "X", sort: "stream", kinds: kinds}}
	for _, rounds := range values {
		var samples []sample
		for _, v := range rounds {
			samples = append(samples, sample{values: v})
		}
		t.samples = append(t.samples, samples)
	}
	return t
}

func TestRatiosAreTakenWithinTheRoundBeforeTheirMedian(t *testing.T) {
	// The machine is ten times slower in the second round: the ratio is 2 in every round all the same.
	tab := streamTable([]string{"base", "twice"},
		[][]float64{{10, 1}, {1, 10}, {8, 2}},
		[][]float64{{20, 0.5}, {2, 5}, {16, 1}})
	if got, want := spread.Of(tab.ratios(1, 0, 0)), (spread.Spread{Median: 2, Low: 2, High: 2}); got != want {
		t.Errorf("rate ratio %v, want %v", got, want)
	}
	if got, want := spread.Of(tab.ratios(1, 0, 1)), (spread.Spread{Median: 0.5, Low: 0.5, High: 0.5}); got != want {
		t.Errorf("CPU ratio %v, want %v", got, want)
	}
}

func TestAGoalIsAgainstTheBestOfTheOthers(t *testing.T) {
	tab := streamTable([]string{"slow", "fast", "mine"},
		[][]float64{{1, 4}, {1, 4}}, [][]float64{{10, 2}, {10, 2}}, [][]float64{{9, 3}, {9, 3}})
	for _, c := range []struct {
		metric int
		ratio  float64
		state  string
		base   string
	}{
		{0, 0.95, goalMissed, "fast"},
		{0, 0.90, goalMet, "fast"},
		{1, 1.4, goalMissed, "fast"},
		{1, 1.5, goalMet, "fast"},
	} {
		v := tab.verdict(goal{kind: "mine", against: []string{"slow", "fast"}, metric: c.metric, ratio: c.ratio})
		if v.state != c.state || v.base != c.base {
			t.Errorf("metric %d, %v: %v against %s, want %v against %s",
				c.metric, c.ratio, v.state, v.base, c.state, c.base)
		}
	}
}

func TestTheTrueMedianIsBetweenTwoValues(t *testing.T) {
	for _, c := range []struct {
		values    int
		low, high float64
	}{
		{1, 1, 1},
		{2, 1, 2},
		{5, 1, 5},
		{9, 2, 8},
		{25, 8, 18}, // the table of the sign test
	} {
		var v []float64
		for i := range c.values {
			v = append(v, float64(i+1))
		}
		if low, high := likely(v); low != c.low || high != c.high {
			t.Errorf("%d values: between %v and %v, want %v and %v", c.values, low, high, c.low, c.high)
		}
	}
}

func TestAReportHasTheGoalsAndEveryKind(t *testing.T) {
	tab := streamTable([]string{kindIO, kindPenstock}, [][]float64{{2, 1}}, [][]float64{{3, 1}})
	tab.goals = []goal{{kind: kindPenstock, against: []string{kindIO}, ratio: 2}}
	var b bytes.Buffer
	if err := printReport(&b, measurer{}, []table{tab}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| X | at least 2.00 of io.Copy, GB/s | 1.50 (1.50–1.50) | **missed** |",
		"| kind | ratio | GB/s | ratio | CPU-s/GB |\n|---|---|---|---|---|\n",
		"| penstock | 1.50 (1.50–1.50) | 3.00 (3.00–3.00) | 1.00 (1.00–1.00) | 1.000 (1.000–1.000) |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}
