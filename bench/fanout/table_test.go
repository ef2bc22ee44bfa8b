package main

import "testing"

func TestRatiosAreTakenWithinTheRoundBeforeTheirMedian(t *testing.T) {
	// The machine is ten times slower in the second round: the ratio is 2 in every round all the same.
	tab := table{viewers: 1, kinds: []string{"base", "twice"}, samples: [][]sample{
		{{GBPerSecond: 10, CPUPerGB: 1}, {GBPerSecond: 1, CPUPerGB: 10}, {GBPerSecond: 8, CPUPerGB: 2}},
		{{GBPerSecond: 20, CPUPerGB: 0.5}, {GBPerSecond: 2, CPUPerGB: 5}, {GBPerSecond: 16, CPUPerGB: 1}},
	}}
	got := tab.rows()[1]
	if want := (spread{2, 2, 2}); got.rateRatio != want {
		t.Errorf("rate ratio %v, want %v", got.rateRatio, want)
	}
	if want := (spread{0.5, 0.5, 0.5}); got.cpuRatio != want {
		t.Errorf("CPU ratio %v, want %v", got.cpuRatio, want)
	}
	if want := (spread{16, 2, 20}); got.rate != want {
		t.Errorf("rate %v, want %v", got.rate, want)
	}
}
