package relays

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// TestTheExampleSaysEverything keeps the example true: it is right, and no key is missing from it.
func TestTheExampleSaysEverything(t *testing.T) {
	const path = "../../docs/relay.example.yaml"
	c, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := slices.Clone(keysOfFile)
	for _, s := range all() {
		keys = append(keys, s.key())
	}
	for _, key := range keys {
		if !strings.Contains("\n"+string(text), " "+key+":") && !strings.Contains("\n"+string(text), "\n"+key+":") {
			t.Errorf("%s is not in it", key)
		}
	}
	pg, redis := c.Relays[0].Config, c.Relays[1].Config
	if pg.IdleTimeout != time.Hour || redis.IdleTimeout != 0 || redis.ConnectTimeout != 5*time.Second {
		t.Errorf("idle timeouts %v and %v, connect timeout %v", pg.IdleTimeout, redis.IdleTimeout, redis.ConnectTimeout)
	}
	if len(pg.Targets) != 2 || len(pg.Mirrors) != 2 || pg.Mirrors[0].Ratio != 0.1 ||
		pg.AcceptRate != 500 || len(pg.Allow) != 3 {
		t.Errorf("the first is %+v", pg)
	}
	if redis.Name != "redis" || c.Relays[1].Listen.Path != "/tmp/penstock-redis.sock" || c.HTTP != "127.0.0.1:8081" {
		t.Errorf("the second is %+v, at %v", redis, c.Relays[1].Listen)
	}
}

func TestARelayReplacesWhatTheDefaultsSay(t *testing.T) {
	c, err := Parse("x", []byte(`
defaults:
  targets: [a:1, b:2]
  deny: 10.0.0.0/8
  keepalive: 0
  mirrors: ["null:"]
  mirror-ratio: 10%
relays:
  - listen: tcp-listen://:1
  - listen: tcp-listen://:2
    targets: c:3
    deny: []
    keepalive: 1m
    mirrors: []
`))
	if err != nil {
		t.Fatal(err)
	}
	first, second := c.Relays[0].Config, c.Relays[1].Config
	if len(first.Targets) != 2 || len(first.Deny) != 1 || first.KeepAlive >= 0 || len(first.Mirrors) != 1 {
		t.Errorf("the first is %+v", first)
	}
	if len(second.Targets) != 1 || second.Targets[0].Address != "c:3" || second.Deny != nil ||
		second.KeepAlive != time.Minute || second.Mirrors != nil {
		t.Errorf("the second is %+v", second)
	}
	if first.Name != ":1" || second.Name != ":2" {
		t.Errorf("called %q and %q", first.Name, second.Name)
	}
}

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	ofFile := "want one of " + strings.Join(keysOfFile, ", ")
	ofRelay := strings.Join(relayKeys(), ", ")
	const relays = "relays:\n- {listen: tcp-listen://:1, targets: "
	for text, want := range map[string]string{
		"relays: 1":     "x:1:9: relays: want a list of them",
		"relays: []":    "x:1:9: relays: want a list of them",
		relays + "[]}":  `x:2:12: listen "tcp-listen://:1": no targets`,
		"drain: 'x":     "x:1:10: found unexpected end of stream",
		"drain: ~":      "x:1:1: relays: is needed\nx:1:8: drain: has no value",
		"[]":            "x:1:1: want keys with values: " + strings.Join(keysOfFile, ", ") + "\nx:1:1: relays: is needed",
		"a: &a [*a]":    "x:1:1: a: no such key here: " + ofFile + "\nx:1:1: relays: is needed",
		"relays: [[a]]": "x:1:10: want keys with values: " + ofRelay,

		relays + `a:1, mirrors: "exec?max=0:curl -u me:hush"}`: `x:2:52: mirrors "exec?max=0:curl": option "max=0": want ` +
			"more than nothing",

		relays + "a:1, mirror-ratio: 10%}": `x:2:57: mirror-ratio "10%": there is no mirror`,

		relays + "a:1, <<: {}}": "x:2:43: <<: no such key here: want one of " + ofRelay,
		relays + "a:1, name: n}\n- {listen: unix-listen:s, targets: a:1, name: n}": `x:3:12: listen "unix-listen:s": ` +
			"another relay is called n",
	} {
		_, err := Parse("x", []byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%s\n%v, want\n%s", text, err, want)
		}
	}
}

func relayKeys() (keys []string) {
	for _, s := range all() {
		keys = append(keys, s.key())
	}
	return keys
}

func TestValuesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "1.5s": 1500 * time.Millisecond, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1w": 7 * 24 * time.Hour,
	} {
		if got, err := parseDuration(text); got != want || err != nil {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "-1s", "s", "1 fortnight"} {
		if d, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
	for text, want := range map[string]int64{"10MB/s": 10e6, "1K": 1024, "0": 0} {
		if got, err := parseRate(text); got != want || err != nil {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]float64{"10%": 0.1, "0.25": 0.25, "1": 1} {
		if got, err := parseRatio(text); got != want || err != nil {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "101%", "NaN", "half"} {
		if f, err := parseRatio(text); err == nil {
			t.Errorf("%q is %v", text, f)
		}
	}
	p, err := parsePrefixes("10.0.0.0/8, ::1,192.0.2.7")
	if err != nil || len(p) != 3 || p[1].Bits() != 128 || p[2].Bits() != 32 {
		t.Errorf("%v, %v", p, err)
	}
	flags := map[string][]string{"balance": {"round-robin", "least-connections"}}
	r, err := FromFlags("tcp-listen://:1", []string{"a:1"}, flags)
	if err != nil || r.Config.Balance != relay.LeastConnections {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../../docs/relay.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("a: &a [*a]\nrelays: *a")
	f.Add("relays: [{listen: tcp-listen://:1, targets: a:1, ? [x] : y}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("x", []byte(text))
		if err == nil && len(c.Relays) == 0 {
			t.Error("nothing, and nothing wrong with it")
		}
	})
}

// TestWhatMetricsCannotTellIsRefused: their labels are UTF-8, and no two targets of a relay may be told by the same one.
func TestWhatMetricsCannotTellIsRefused(t *testing.T) {
	const here, there = "tcp-listen://127.0.0.1:0", "127.0.0.1:1"
	for _, one := range []struct {
		listen  string
		targets []string
		name    string
		mirror  string
		says    string
	}{
		{here, []string{there}, "a\xffb", "null:", "want a name"},
		{"unix-listen:/run/\xff", []string{there}, "a", "null:", "want UTF-8"},
		{here, []string{"unix:/run/\xff"}, "a", "null:", "want UTF-8"},
		{here, []string{there}, "a", "file:/log/\xff", "want UTF-8"},
		{here, []string{there, "unix:" + there}, "a", "null:", "is there already"},
	} {
		_, err := FromFlags(one.listen, one.targets, map[string][]string{"name": {one.name}, "mirror": {one.mirror}})
		if err == nil || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%q: %v", one, err)
		}
	}
}
