package rounds

import (
	"math"
	"testing"

	"github.com/penstock-io/penstock/bench/internal/table"
)

// streams has rates and CPU times, kind by kind and round by round.
func streams(kinds []string, values ...[][]float64) *table.Table {
	t := table.New("X", kinds, []table.Metric{
		{Name: "GB/s", Format: "%.2f", Ratio: "rate ratio", More: true},
		{Name: "CPU-s/GB", Format: "%.3f", Ratio: "CPU ratio"},
	})
	for k, rounds := range values {
		for _, v := range rounds {
			t.Samples[k] = append(t.Samples[k], table.Sample{Values: v})
		}
	}
	return t
}

func TestAVerdictTakesRatiosWithinTheRound(t *testing.T) {
	// The machine is ten times slower in the second round: the ratio is 2 in both all the same.
	tab := streams([]string{Penstock, "tee"},
		[][]float64{{20, 1}, {2, 10}},
		[][]float64{{10, 4}, {1, 40}})
	tee := []string{"tee"}
	for _, c := range []struct {
		Goal
		aim, figure string
		state       State
	}{
		{Goal{"", tee, 0, 2}, "at least 2.00 of tee, GB/s", "2.00 (2.00–2.00)", Met},
		{Goal{"", tee, 0, 2.1}, "at least 2.10 of tee, GB/s", "2.00 (2.00–2.00)", Missed},
		{Goal{"", tee, 1, 0.25}, "at most 0.25 of tee, CPU-s/GB", "0.25 (0.25–0.25)", Met},
		{Goal{"", tee, 1, 0.2}, "at most 0.20 of tee, CPU-s/GB", "0.25 (0.25–0.25)", Missed},
		{Goal{"", nil, 1, 5}, "at most 5.00, CPU-s/GB", "5.50 (1.00–10.00)", Open},
		{Goal{"tee", []string{Penstock}, 0, 1}, "at least 1.00 of penstock, GB/s", "0.50 (0.50–0.50)", Missed},
	} {
		v, known := c.Verdict(tab)
		if !known || v.State != c.state || v.Aim() != c.aim || v.Figure() != c.figure {
			t.Errorf("%+v: %s: %s: %s, %t", c.Goal, v.Aim(), v.Figure(), v.State, known)
		}
	}
}

func TestAGoalIsAgainstTheBestOfTheOthersThatAreThere(t *testing.T) {
	tab := streams([]string{"slow", "fast", "mine"},
		[][]float64{{1, 4}, {1, 4}}, [][]float64{{10, 2}, {10, 2}}, [][]float64{{9, 3}, {9, 3}})
	for _, c := range []struct {
		metric int
		times  float64
		state  State
	}{
		{0, 0.95, Missed},
		{0, 0.90, Met},
		{1, 1.4, Missed},
		{1, 1.5, Met},
	} {
		v, known := Goal{"mine", []string{"slow", "fast", "absent"}, c.metric, c.times}.Verdict(tab)
		if !known || v.State != c.state || v.Base != "fast" {
			t.Errorf("metric %d, %v: %v against %s, want %v against fast", c.metric, c.times, v.State, v.Base, c.state)
		}
	}
}

func TestWhoIsNotThereHasNoVerdict(t *testing.T) {
	tab := streams([]string{Penstock, "tee"}, [][]float64{{1, math.NaN()}}, [][]float64{{1, 1}})
	for _, g := range []Goal{
		{"", []string{"pv"}, 0, 1},
		{"pv", nil, 0, 1},
		{"", nil, 1, 1},             // it has no figure
		{"", []string{"tee"}, 1, 1}, // and so there is no ratio
	} {
		if v, known := g.Verdict(tab); known {
			t.Errorf("%+v: %s", g, v.State)
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
