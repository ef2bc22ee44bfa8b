package main

import (
	"cmp"
	"encoding/json"
	"hash/crc32"
	"io"
	"math"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

func TestMain(m *testing.M) {
	if role.Mine() != "" {
		role.Exit("server", playServer(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)))
	}
	os.Exit(m.Run())
}

func TestEveryComparisonIsWellFormed(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range comparisons() {
		if seen[c.Name] {
			t.Errorf("%s: there are two", c.Name)
		}
		seen[c.Name] = true
		if c.Kinds[0].name != ours {
			t.Errorf("%s: the first kind is %s", c.Name, c.Kinds[0].name)
		}
		for _, g := range c.Goals {
			for _, name := range append([]string{cmp.Or(g.Kind, ours)}, g.Against...) {
				if !slices.ContainsFunc(c.Kinds, func(k kind) bool { return k.name == name }) {
					t.Errorf("%s: a goal for %q, which is not measured", c.Name, name)
				}
			}
			if g.Metric >= len(c.Metrics) {
				t.Errorf("%s: a goal for metric %d", c.Name, g.Metric)
			}
		}
	}
}

func workplaceForTest(t *testing.T) *workplace {
	t.Helper()
	w, err := newWorkplace("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.remove)
	return w
}

// TestEveryKindRelaysEveryByte has each carry 800 kB there and back. Those that are not installed are left out.
func TestEveryKindRelaysEveryByte(t *testing.T) {
	all := comparisons()
	for i := range all {
		all[i].Kinds = present(all[i].Kinds, regexp.MustCompile(""), make(map[string]bool))
	}
	if err := workplaceForTest(t).verify(all); err != nil {
		t.Error(err)
	}
}

// TestEveryCaseMeasures makes one short run of each, with what is built from this tree.
func TestEveryCaseMeasures(t *testing.T) {
	m := measurer{workplaceForTest(t), extent{bytes: 2e6, lasts: 10 * time.Millisecond, idle: 10}}
	all := comparisons()
	for i := range all {
		all[i].Kinds = slices.DeleteFunc(all[i].Kinds, func(k kind) bool {
			return k.program != "" && m.built[k.program] == ""
		})
	}
	results, err := rounds.Measure(rounds.Settings{Rounds: 1, Attempts: 1, Markdown: true}, all, m.measure, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		for k := range c.Kinds {
			values := results[i].Table.Samples[k][0].Values
			if len(values) != len(c.Metrics) {
				t.Fatalf("%s, %s: %d values for %d metrics", c.Name, c.Kinds[k], len(values), len(c.Metrics))
			}
			if first := values[0]; !(first > 0) || math.IsInf(first, 0) {
				t.Errorf("%s, %s: %g %s", c.Name, c.Kinds[k], first, c.Metrics[0].Name)
			}
		}
	}
	var out strings.Builder
	if err := printReport(&out, m.extent, "reno", 0, results); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !strings.Contains(out.String(), "\n### "+c.Title+"\n\n| kind |") {
			t.Errorf("no table of %s in\n%s", c.Name, &out)
		}
	}
}

func TestARelayThatChangesAByteIsFound(t *testing.T) {
	for _, at := range []int{-1, 0, messageSize - 1, messages*messageSize - 1} {
		client, relay := net.Pipe()
		go func() {
			defer relay.Close()
			b := make([]byte, messageSize)
			for i := range messages {
				if _, err := io.ReadFull(relay, b); err != nil {
					return // the client has seen it
				}
				if j := at - i*messageSize; j >= 0 && j < len(b) {
					b[j] ^= 1
				}
				if _, err := relay.Write(b); err != nil {
					return
				}
			}
		}()
		err := sameBack(client, io.Discard)
		client.Close()
		if at < 0 && err != nil || at >= 0 && (err == nil || !strings.Contains(err.Error(), "comes back as another one")) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
}

// sentTo has a mirror get some text, and end.
func sentTo(t *testing.T, m *mirrored, text string) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	c.Close()
	got, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if err := m.take(got); err != nil {
		t.Error(err)
	}
}

func TestAMirrorCountsWhatItThrowsAwayAndMakesSumsWhenAsked(t *testing.T) {
	var m mirrored
	sentTo(t, &m, "counted")
	sentTo(t, &m, "too")
	if n := m.answer(bytesOfMirrors); n != int64(10) {
		t.Errorf("%v bytes, want 10", n)
	}
	m.answer(compareMirrors)
	sentTo(t, &m, "compared")
	sentTo(t, &m, "") // who looked whether somebody is there
	got, want := m.answer(sumsOfMirrors).([]uint32), []uint32{crc32.ChecksumIEEE([]byte("compared"))}
	if !slices.Equal(got, want) {
		t.Errorf("sums %x, want %x", got, want)
	}
}
