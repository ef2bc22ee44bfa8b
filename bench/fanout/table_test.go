package main

import (
	"testing"

	"github.com/penstock-io/penstock/bench/internal/spread"
)

func TestRatiosAreTakenWithinTheRoundBeforeTheirMedian(t *testing.T) {
	// The machine is ten times slower in the second round: the ratio is 2 in every round all the same.
	tab := table{viewers: 1, kinds: []string{"base", "twice"}, samples: [][]sample{
		{{GBPerSecond: 10, CPUPerGB: 1}, {GBPerSecond: 1, CPUPerGB: 10}, {GBPerSecond: 8, CPUPerGB: 2}},
		{{GBPerSecond: 20, CPUPerGB: 0.5}, {GBPerSecond: 2, CPUPerGB: 5}, {GBPerSecond: 16, CPUPerGB: 1}},
	}}
	got := tab.rows()[1]
	if want := (spread.Spread{Median: 2, Low: 2, High: 2}); got.rateRatio != want {
		t.Errorf("rate ratio %v, want %v", got.rateRatio, want)
	}
	if want := (spread.Spread{Median: 0.5, Low: 0.5, High: 0.5}); got.cpuRatio != want {
		t.Errorf("CPU ratio %v, want %v", got.cpuRatio, want)
	}
	if want := (spread.Spread{Median: 16, Low: 2, High: 20}); got.rate != want {
		t.Errorf("rate %v, want %v", got.rate, want)
	}
}
