package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// moved is a transfer that has moved so many MiB of 100, one each second.
func moved(n int) State {
	return State{Bytes: int64(n) * mib, Total: 100 * mib, Elapsed: time.Duration(n) * time.Second}
}

// named is the same, of several.
func named(name string, n int) State {
	s := moved(n)
	s.Name = name
	return s
}

func newDisplay(t *testing.T, s *fakeScreen, c Config) *Display {
	t.Helper()
	c.Screen = s
	d, err := New(s, c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOneTransferIsALineDrawnInPlace(t *testing.T) {
	s := newFakeScreen(t, 40, 5)
	d := newDisplay(t, s, Config{Parts: Bytes | Bar})
	for n := range 46 {
		d.Show([]State{moved(n)})
	}
	s.shows("45.0MiB [==========>               ] 45%")
	last := moved(100)
	last.Ended = true
	if err := d.End([]State{last}); err != nil {
		t.Fatal(err)
	}
	d.Show([]State{moved(1)})
	fmt.Fprint(s, "$ ")
	s.shows(" 100MiB [========================>] 100%", "$")
}

func TestSeveralTransfersStandBelowEachOther(t *testing.T) {
	s := newFakeScreen(t, 40, 5)
	fmt.Fprint(s, "$ penstock\r\n")
	d := newDisplay(t, s, Config{Parts: Bytes | Bar})
	for n := range 11 {
		d.Show([]State{named("disk", n), named("a longer name", 2*n)})
	}
	s.shows("$ penstock",
		"         disk: 10.0MiB [>          ] 10%",
		"a longer name: 20.0MiB [=>         ] 20%")
	if s.x != 0 || s.y != 2 {
		t.Errorf("the cursor is at %d, %d", s.x, s.y)
	}
	d.Show([]State{named("disk", 11), named("b", 2), named("c", 3)}) // one more has come
	if err := d.End([]State{named("disk", 11), named("b", 2)}); err != nil {
		t.Fatal(err)
	}
	s.shows("$ penstock",
		"     disk: 11.0MiB [>              ] 11%",
		"        b: 2.00MiB [>              ]  2%")
}

func TestWhatIsSaidStandsAboveTheLines(t *testing.T) {
	s := newFakeScreen(t, 40, 5)
	s.raw = true
	d := newDisplay(t, s, Config{Parts: Bytes})
	d.Say("listening on 127.0.0.1:9000")
	d.Show([]State{named("a", 1), named("b", 2)})
	d.Say("a: connection lost\x1b[2J\nb: long long long long long long long long long")
	s.shows("listening on 127.0.0.1:9000",
		`a: connection lost\x1b[2J`,
		"b: long long long long long long long lo", "ng long",
		"        a: 1.00MiB",
		"        b: 2.00MiB")
	d.Show([]State{named("a", 3), named("b", 4)})
	d.Print([]State{named("a", 5), named("b", 6)})
	if err := d.End([]State{named("a", 7), named("b", 8)}); err != nil {
		t.Fatal(err)
	}
	d.Say("over")
	s.shows("listening on 127.0.0.1:9000",
		`a: connection lost\x1b[2J`,
		"b: long long long long long long long lo", "ng long",
		"        a: 5.00MiB",
		"        b: 6.00MiB",
		"        a: 7.00MiB",
		"        b: 8.00MiB", "over")
}

// TestALineAsWideAsTheScreenStaysOneLine although the cursor then stands on its last character.
func TestALineAsWideAsTheScreenStaysOneLine(t *testing.T) {
	s := newFakeScreen(t, 20, 5)
	d := newDisplay(t, s, Config{Parts: Bar})
	for n := range 6 {
		d.Show([]State{moved(n)})
		d.Say(fmt.Sprint("said ", n))
	}
	s.shows("said 0", "said 1", "said 2", "said 3", "said 4", "said 5", "[>             ]  5%")
}

func TestTheScreensWidthIsAskedForAtEachDraw(t *testing.T) {
	s := newFakeScreen(t, 40, 8)
	d := newDisplay(t, s, Config{Parts: Bytes | Bar})
	d.Show([]State{moved(1)})
	s.columns = 60
	d.Show([]State{moved(50)})
	s.shows("50.0MiB [======================>                       ] 50%")
	s.columns = 40 // the line does not fit any more: how many it is now, the terminal knows
	d.Show([]State{moved(60)})
	d.Show([]State{moved(70)})
	s.shows("50.0MiB [======================>                       ] 50%",
		"70.0MiB [=================>        ] 70%")
	fixed := newFakeScreen(t, 60, 5)
	d = newDisplay(t, fixed, Config{Parts: Bytes | Bar, Width: 30})
	d.Show([]State{moved(50)})
	fixed.shows("50.0MiB [=======>        ] 50%")
}

func TestMoreTransfersThanTheScreenHasRows(t *testing.T) {
	s := newFakeScreen(t, 40, 3)
	d := newDisplay(t, s, Config{Parts: Bytes})
	var all []State
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, named(name, 1))
	}
	for range 3 {
		d.Show(all)
	}
	s.shows("        a: 1.00MiB", "        b: 1.00MiB", "and 2 more")
	if err := d.End(all); err != nil {
		t.Fatal(err)
	}
	s.shows("        a: 1.00MiB", "        b: 1.00MiB", "        c: 1.00MiB", "        d: 1.00MiB")
}

func TestInTheBackgroundNothingIsDrawn(t *testing.T) {
	s := newFakeScreen(t, 40, 8)
	d := newDisplay(t, s, Config{Parts: Bytes})
	two := func(n int) []State { return []State{named("a", n), named("b", n)} }
	d.Show(two(1))
	s.background = true
	fmt.Fprint(s, "\r\n[1]+ Stopped\r\n$ ")
	d.Show(two(2))
	s.background = false
	fmt.Fprint(s, "fg\r\n")
	d.Show(two(3))
	s.shows("        a: 1.00MiB", "        b: 1.00MiB", "[1]+ Stopped", "$ fg", "        a: 3.00MiB", "        b: 3.00MiB")
	fmt.Fprint(s, "\r\n") // stopped and gone on between two draws
	d.Anew()
	d.Show(two(4))
	s.shows("        a: 1.00MiB", "        b: 1.00MiB", "[1]+ Stopped", "$ fg", "        a: 3.00MiB", "        b: 3.00MiB",
		"        a: 4.00MiB", "        b: 4.00MiB")
}

func TestElsewhereThanOnATerminalItIsWrittenAsOfPV(t *testing.T) {
	var b strings.Builder
	d, err := New(&b, Config{Parts: Bytes | Bar, Width: 30})
	if err != nil {
		t.Fatal(err)
	}
	d.Show([]State{moved(1)})
	d.Say("a warning")
	d.Show([]State{moved(2)})
	d.layout.segments = []segment{{kind: showBytes}}
	if err := d.End([]State{moved(3)}); err != nil {
		t.Fatal(err)
	}
	want := "1.00MiB [>               ]  1%\r\na warning\n" +
		"2.00MiB [>               ]  2%\r3.00MiB" + strings.Repeat(" ", 23) + "\r\n"
	if b.String() != want {
		t.Errorf("%q\nand not\n%q", b.String(), want)
	}

	b.Reset()
	d, _ = New(&b, Config{Parts: Bytes})
	d.Show([]State{named("a", 1), named("b", 2)})
	d.Say("a warning")
	if err := d.End([]State{named("a", 3), named("b", 4)}); err != nil {
		t.Fatal(err)
	}
	want = "        a: 1.00MiB\n        b: 2.00MiB\na warning\n        a: 3.00MiB\n        b: 4.00MiB\n"
	if b.String() != want {
		t.Errorf("%q\nand not\n%q", b.String(), want)
	}
}

func TestNumbersAreThoseOfPV(t *testing.T) {
	unknown := State{Bytes: 5242880, Total: -1, Elapsed: 542400 * time.Microsecond}
	failed := State{Bytes: 7, Total: 100, Elapsed: time.Second, Ended: true}
	for _, c := range []struct {
		name   string
		parts  Parts
		states []State
		want   string
	}{
		{"percent", 0, []State{moved(13)}, "13"},
		{"never more than a gauge has", 0, []State{moved(250)}, "100"},
		{"bytes", Bytes, []State{moved(1)}, "1048576"},
		{"time", Timer, []State{moved(2)}, "2.0000 2"},
		{"time and bytes", Timer | Bytes, []State{unknown}, "0.5424 5242880"},
		{"rate", Rate, []State{moved(3)}, "3 1048576.0000"},
		{"size not known", 0, []State{unknown}, "5242880"},
		{"the one that is behind", 0, []State{moved(3), moved(2), moved(4)}, "2"},
		{"of those that still run", 0, []State{failed, moved(9), moved(8)}, "8"},
		{"of those that have ended, the one that has most", Bytes, []State{failed, {Bytes: 9, Ended: true}}, "9"},
	} {
		var b strings.Builder
		d, err := New(&b, Config{Mode: Numeric, Parts: c.parts})
		if err != nil {
			t.Fatal(err)
		}
		d.Show(c.states)
		if b.String() != c.want+"\n" {
			t.Errorf("%s: %q and not %q", c.name, b.String(), c.want)
		}
	}
}

func TestJSONIsAnObjectALine(t *testing.T) {
	var b strings.Builder
	d, err := New(&b, Config{Mode: JSON, Name: "backup"})
	if err != nil {
		t.Fatal(err)
	}
	stalled := State{
		Name: "exec?a&b", Bytes: 5, Total: -1, Elapsed: 2 * time.Second, Stalled: "destination",
		StalledFor: 1500 * time.Millisecond, Path: "splice", Note: "skipped \x1b",
	}
	d.Show([]State{moved(1), stalled})
	d.Say("a \"warning\"\nof two lines")
	if err := d.End([]State{{Bytes: 3, Total: 3, Elapsed: time.Second, Note: "done", Ended: true}}); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`{"name":"backup","elapsed":2,"outputs":[` +
			`{"name":"","bytes":1048576,"size":104857600,"percent":1,"elapsed":1,"rate":1048576,"average":1048576,` +
			`"eta":99,"ended":false},` +
			`{"name":"exec?a&b","bytes":5,"size":null,"percent":null,"elapsed":2,"rate":2.5,"average":2.5,"eta":null,` +
			`"stalled":"destination","stalled_for":1.5,"path":"splice","note":"skipped \u001b","ended":false}],` +
			`"ended":false}`,
		`{"message":"a \"warning\"\nof two lines"}`,
		`{"name":"backup","elapsed":1,"outputs":[{"name":"","bytes":3,"size":3,"percent":100,"elapsed":1,"rate":3,` +
			`"average":3,"eta":null,"note":"done","ended":true}],"ended":true}`,
	}, "\n") + "\n"
	if b.String() != want {
		t.Errorf("\n%s\nand not\n%s", b.String(), want)
	}
	for line := range strings.Lines(b.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if got := string(d.Report([]State{moved(2)})); !strings.HasPrefix(got, `{"name":"backup","elapsed":2,"outputs":[{`) {
		t.Errorf("a report of its own: %s", got)
	}
}

func TestQuietWritesOnlyWhatItIsTold(t *testing.T) {
	var b strings.Builder
	d, err := New(&b, Config{Mode: Quiet, Parts: Bytes})
	if err != nil {
		t.Fatal(err)
	}
	d.Show([]State{moved(1)})
	d.Say("a warning")
	d.Print([]State{moved(2)})
	if err := d.End([]State{moved(3)}); err != nil {
		t.Fatal(err)
	}
	if want := "a warning\n2.00MiB\n"; b.String() != want {
		t.Errorf("%q and not %q", b.String(), want)
	}
}

// TestTheTimeCountsFromTheFirstByteOn if that is waited for, and nothing is shown before.
func TestTheTimeCountsFromTheFirstByteOn(t *testing.T) {
	s := newFakeScreen(t, 40, 3)
	d := newDisplay(t, s, Config{Parts: Bytes | Timer | Average, Wait: true})
	d.Show([]State{{Elapsed: 5 * time.Second, Total: -1}})
	d.Show([]State{{Elapsed: 6 * time.Second, Total: -1}})
	s.shows()
	d.Show([]State{{Elapsed: 8 * time.Second, Bytes: 2 * mib, Total: -1}})
	s.shows("2.00MiB 0:00:02 (1.00MiB/s)")

	s = newFakeScreen(t, 40, 3)
	d = newDisplay(t, s, Config{Parts: Bytes | Timer, Wait: true})
	d.Show([]State{{Elapsed: 5 * time.Second, Total: -1}})
	if err := d.End([]State{{Elapsed: 6 * time.Second, Total: -1, Note: "failed"}}); err != nil {
		t.Fatal(err)
	}
	s.shows("0.00  B 0:00:06 failed")
}

// TestRunDrawsAtEachInterval and no sooner: what is over before is shown once. The interval may be changed meanwhile.
func TestRunDrawsAtEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		d, err := New(&b, Config{Mode: Numeric, Parts: Timer})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		states := func() []State { return []State{{Total: 0, Elapsed: time.Since(began)}} }
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			d.Run(ctx, states)
		}()
		time.Sleep(2500 * time.Millisecond)
		d.SetInterval(200 * time.Millisecond)
		time.Sleep(500 * time.Millisecond)
		stop()
		<-over
		if err := d.End(states()); err != nil {
			t.Fatal(err)
		}
		want := "1.0000 100\n2.0000 100\n2.7000 100\n2.9000 100\n3.0000 100\n"
		if b.String() != want {
			t.Errorf("%q and not %q", b.String(), want)
		}
	})
}

func TestANameMayBeChanged(t *testing.T) {
	s := newFakeScreen(t, 40, 3)
	d := newDisplay(t, s, Config{Parts: Bytes, Name: "one"})
	d.Show([]State{moved(1)})
	d.SetName("two\x1b")
	d.Show([]State{moved(1)})
	s.shows(`  two\x1b: 1.00MiB`)
	d.Show([]State{named("a", 1), named("b", 1)})
	s.shows(`two\x1b a: 1.00MiB`, `two\x1b b: 1.00MiB`)
}

type brokenWriter struct{ calls int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write([]byte) (int, error) {
	w.calls++
	return 0, errBroken
}

func TestAWriterThatFailsIsLeftAlone(t *testing.T) {
	w := &brokenWriter{}
	d, err := New(w, Config{})
	if err != nil {
		t.Fatal(err)
	}
	d.Show([]State{moved(1)})
	d.Say("a warning")
	if err := d.End([]State{moved(2)}); !errors.Is(err, errBroken) || w.calls != 1 {
		t.Errorf("%v after %d calls", err, w.calls)
	}
}
