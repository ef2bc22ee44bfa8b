package table

import (
	"math"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/bench/internal/spread"
)

func figures() *Table {
	t := New("N=1", []string{"base", "twice"}, []Metric{{Name: "GB/s out", Format: "%.1f", Ratio: "rate ratio"}, {Name: "CPU-s/GB", Format: "%.3f"}})
	// The machine is ten times slower in the second round: the ratio is 2 in every round all the same.
	for round, base := range []float64{10, 1, 8} {
		t.Samples[0] = append(t.Samples[0], Sample{Values: []float64{base, float64(round)}})
		t.Samples[1] = append(t.Samples[1], Sample{Values: []float64{2 * base, math.NaN()}, Others: 0.3})
	}
	return t
}

func TestRatiosAreTakenWithinTheRoundBeforeTheirMedian(t *testing.T) {
	tab := figures()
	if got, ok := tab.Ratio(1, 0); !ok || got != (spread.Spread{Median: 2, Low: 2, High: 2}) {
		t.Errorf("ratio %v, %t", got, ok)
	}
	if got, ok := tab.Spread(1, 0); !ok || got != (spread.Spread{Median: 16, Low: 2, High: 20}) {
		t.Errorf("values %v, %t", got, ok)
	}
	tab.Base = []int{1, 1}
	if got, ok := tab.Ratio(0, 0); !ok || got.Median != 0.5 {
		t.Errorf("ratio to the second kind %v, %t", got, ok)
	}
}

func TestWhatWasNotMeasuredIsNoFigure(t *testing.T) {
	var terminal, markdown strings.Builder
	tab := figures()
	if err := tab.Print(&terminal); err != nil {
		t.Fatal(err)
	}
	if err := tab.Markdown(&markdown, 3); err != nil {
		t.Fatal(err)
	}
	const wantTerminal = "N=1    rate ratio        GB/s out         CPU-s/GB\n" +
		"base   1.00 (1.00–1.00)  8.0 (1.0–10.0)   1.000 (0.000–2.000)\n" +
		"twice  2.00 (2.00–2.00)  16.0 (2.0–20.0)  –\n"
	if terminal.String() != wantTerminal {
		t.Errorf("got\n%swant\n%s", terminal.String(), wantTerminal)
	}
	const wantRow = "| twice | **2.00** (2.00–2.00) | 16.0 (2.0–20.0) | – |\n"
	if !strings.Contains(markdown.String(), "### N=1\n") || !strings.HasSuffix(markdown.String(), wantRow) {
		t.Errorf("got\n%s", markdown.String())
	}
	if n := tab.Disturbed(0.2); n != 3 {
		t.Errorf("%d runs disturbed, want 3", n)
	}
}
