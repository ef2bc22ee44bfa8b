package rounds

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/bench/internal/table"
)

// named is a kind that is nothing but its name.
type named string

func (n named) String() string { return string(n) }

// counted is a comparison of one metric, in which each kind has what a run of it returns.
func counted(name string, kinds ...named) Comparison[named, string] {
	return Comparison[named, string]{
		Name: name, Title: "Title of " + name, Run: name, Metrics: []table.Metric{{Name: "n", Format: "%.0f"}}, Kinds: kinds,
	}
}

// letters makes runs that write down who was measured, while others used so much.
func letters(order *[]string, others func(runs int) float64) func(string, named) (table.Sample, error) {
	return func(run string, k named) (table.Sample, error) {
		*order = append(*order, run+":"+k.String())
		return table.Sample{Values: []float64{float64(len(*order))}, Others: others(len(*order))}, nil
	}
}

func quiet(int) float64 { return 0 }

func ignore(Result) error { return nil }

func TestRoundsAreInterleavedAndTheirOrderTurns(t *testing.T) {
	var order []string
	all := []Comparison[named, string]{counted("x", "a", "b", "c")}
	results, err := Measure(Settings{Rounds: 3, Attempts: 1}, all, letters(&order, quiet), ignore)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields("x:a x:b x:c x:b x:c x:a x:c x:a x:b")
	if !slices.Equal(order, want) {
		t.Errorf("measured in the order %v, want %v", order, want)
	}
	for k, want := range [][]float64{{1, 6, 8}, {2, 4, 9}, {3, 5, 7}} {
		if got := results[0].Table.Values(k, 0); !slices.Equal(got, want) {
			t.Errorf("kind %d has %v, want %v", k, got, want)
		}
	}
}

func TestADisturbedRunIsMadeAgainAndTheLastAttemptStands(t *testing.T) {
	var order []string
	all := []Comparison[named, string]{counted("x", "a", "b")}
	s := Settings{Rounds: 1, Attempts: 3, Quiet: 0.5}
	disturbed := func(runs int) float64 { // a is undisturbed at its second attempt, b never
		if runs == 2 {
			return 0.5
		}
		return 0.6
	}
	results, err := Measure(s, all, letters(&order, disturbed), ignore)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Fields("x:a x:a x:b x:b x:b"); !slices.Equal(order, want) {
		t.Errorf("measured were %v, want %v", order, want)
	}
	var said strings.Builder
	if err := results[0].PrintDisturbed(&said, s.Quiet); err != nil || !strings.Contains(said.String(), "1 of 2 runs") {
		t.Errorf("said %q, %v", &said, err)
	}
}

func TestWithoutTimeEachComparisonHasOneRoundAndNoRunIsMadeAgain(t *testing.T) {
	var order []string
	all := []Comparison[named, string]{counted("x", "a"), counted("y", "a")}
	all[1].Rounds = 5
	s := Settings{Rounds: 5, Attempts: 3, Budget: time.Nanosecond}
	if _, err := Measure(s, all, letters(&order, func(int) float64 { return 1 }), ignore); err != nil {
		t.Fatal(err)
	}
	if want := strings.Fields("x:a y:a"); !slices.Equal(order, want) {
		t.Errorf("measured were %v, want %v", order, want)
	}
}

func TestAFailedRunEndsItAllAndSaysWhose(t *testing.T) {
	fails := errors.New("fails")
	_, err := Measure(Settings{Rounds: 1, Attempts: 3}, []Comparison[named, string]{counted("x", "a")},
		func(string, named) (table.Sample, error) { return table.Sample{}, fails }, ignore)
	if !errors.Is(err, fails) || err.Error() != "x: a, round 1: fails" {
		t.Errorf("error %v", err)
	}
}

func TestFlagsChooseWhatIsMeasured(t *testing.T) {
	all := []Comparison[named, string]{counted("tcp", "a"), counted("file", "a"), counted("tcp-file", "a")}
	for _, c := range []struct {
		args, names, list string
	}{
		{"", "tcp file tcp-file", ""},
		{"-run ^tcp", "tcp tcp-file", ""},
		{"-run ^tcp -list", "", "tcp      Title of tcp\ntcp-file Title of tcp-file\n"},
	} {
		s := Settings{Attempts: 1}
		f := flag.NewFlagSet("x", flag.ContinueOnError)
		s.Declare(f)
		s.DeclareCases(f)
		if err := s.Parse(f, strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		var list strings.Builder
		some, err := Chosen(s, &list, all)
		var names []string
		for _, c := range some {
			names = append(names, c.Name)
		}
		if err != nil || strings.Join(names, " ") != c.names || list.String() != c.list {
			t.Errorf("%q chooses %q and lists %q, %v", c.args, names, &list, err)
		}
	}
	for _, args := range []string{"-run [", "more", "-attempts 0", "-rounds 0"} {
		s := Settings{Rounds: 1, Attempts: 1}
		f := flag.NewFlagSet("x", flag.ContinueOnError)
		s.Declare(f)
		s.DeclareCases(f)
		err := s.Parse(f, strings.Fields(args))
		if err == nil {
			_, err = Chosen(s, &strings.Builder{}, all)
		}
		if err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestAReportHasTheGoalsAndEveryKind(t *testing.T) {
	tab := streams([]string{Penstock, "penstock, slower", "tee"},
		[][]float64{{3, 1}}, [][]float64{{1, 1}}, [][]float64{{2, 1}})
	results := []Result{{"filter", []Goal{
		{"", []string{"tee"}, 0, 2}, {"penstock, slower", []string{"tee"}, 0, 0.5}, {"", []string{"pv"}, 0, 2},
	}, tab}}
	var markdown, terminal strings.Builder
	if err := errors.Join(PrintMarkdown(&markdown, 0, results), PrintGoals(&terminal, results)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| case | penstock is to have | has | |\n|---|---|---|---|\n" +
			"| filter | at least 2.00 of tee, GB/s | 1.50 (1.50–1.50) | **missed** |\n" +
			"| filter | penstock, slower: at least 0.50 of tee, GB/s | 0.50 (0.50–0.50) | met |\n\n### X\n",
		"| tee | **0.67** (0.67–0.67) | **1.00** (1.00–1.00) | 2.00 (2.00–2.00) | 1.000 (1.000–1.000) |\n",
	} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in\n%s", want, &markdown)
		}
	}
	const want = "\nfilter at least 2.00 of tee, GB/s                   1.50 (1.50–1.50) **missed**\n" +
		"filter penstock, slower: at least 0.50 of tee, GB/s 0.50 (0.50–0.50) met\n"
	if terminal.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &terminal, want)
	}
}
