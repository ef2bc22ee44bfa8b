package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/bench/internal/rounds"
	"github.com/penstock-io/penstock/bench/internal/table"
)

func TestAReportHasTheGoalsAndEveryKind(t *testing.T) {
	tab := table.New("X", []string{kindIO, kindPenstock}, sorts["stream"].metrics)
	tab.Samples = [][]table.Sample{
		{{Values: []float64{2, 1}}, {Values: []float64{2, 1}}},
		{{Values: []float64{3, 1}}, {Values: []float64{3, 0.5}}},
	}
	results := []rounds.Result{{Name: "x", Table: tab, Goals: []rounds.Goal{
		{Against: []string{kindIO}, Times: 2},
		{Against: []string{kindIO}, Metric: 1, Times: 0.6},
		{Kind: kindIO, Against: []string{kindPenstock}, Times: 0.5},
	}}}
	var markdown, terminal strings.Builder
	if err := errors.Join(printReport(&markdown, spec{}, 0, results), writeTable(&terminal, results[0])); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| X | at least 2.00 of io.Copy, GB/s | 1.50 (1.50–1.50) | **missed** |\n" +
			"| X | at most 0.60 of io.Copy, CPU-s/GB | 0.75 (0.50–1.00) | within the noise |\n" +
			"| X, io.Copy | at least 0.50 of penstock, GB/s | 0.67 (0.67–0.67) | met |\n",
		"\n### X\n\n2 rounds.\n\n| kind | ratio | GB/s | ratio | CPU-s/GB |\n|---|---|---|---|---|\n",
		"| penstock | 1.50 (1.50–1.50) | 3.00 (3.00–3.00) | 0.75 (0.50–1.00) | 0.750 (0.500–1.000) |\n",
	} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in\n%s", want, &markdown)
		}
	}
	for _, want := range []string{
		"x: X, 2 rounds\n",
		"goal: penstock at least 2.00 of io.Copy, GB/s: 1.50 (1.50–1.50): **missed**\n",
	} {
		if !strings.Contains(terminal.String(), want) {
			t.Errorf("no %q in\n%s", want, &terminal)
		}
	}
}
