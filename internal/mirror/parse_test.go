package mirror

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

func TestAMirrorIsWhatItsTextSays(t *testing.T) {
	for text, want := range map[string]relay.Mirror{
		"file:/x/%c.bin":                                     {Direction: relay.Forward},
		"file:/x/%c.%d?direction=both":                       {Direction: relay.BothWays},
		"file:x?direction=backward&ratio=0.1":                {Direction: relay.Backward, Ratio: 0.1},
		"capture:x?max=1M":                                   {Direction: relay.BothWays, MaxBytes: 1 << 20, Queue: 8 << 20, Disconnect: true},
		"capture:x?on-slow=skip":                             {Direction: relay.BothWays, Queue: 8 << 20},
		"file:x?on-slow=disconnect":                          {Direction: relay.Forward, Disconnect: true},
		"tcp://h:1":                                          {Direction: relay.Forward, Queue: 8 << 20, Disconnect: true},
		"tcp://h:1?on-slow=skip&queue=1M":                    {Direction: relay.Forward, Queue: 1 << 20},
		"tcp://h:1?timeout=1s&queue=4MiB&on-slow=disconnect": {Direction: relay.Forward, Queue: 4 << 20, Disconnect: true},
		"unix:/run/x?direction=both":                         {Direction: relay.BothWays, Queue: 8 << 20, Disconnect: true},
		"tls://h:1?insecure":                                 {Direction: relay.Forward, Queue: 8 << 20, Disconnect: true},
		"exec:wc -c":                                         {Direction: relay.Forward, Queue: 8 << 20, Disconnect: true},
		"exec?on-slow=skip:wc -c":                            {Direction: relay.Forward, Queue: 8 << 20},
		"exec?queue=8k&ratio=1:a?b:c":                        {Direction: relay.Forward, Queue: 8 << 10, Ratio: 1, Disconnect: true},
		"null:?direction=both":                               {Direction: relay.BothWays},
	} {
		m, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if nobody := strings.HasPrefix(text, "null:"); m.Name != Safe(text) || (m.Open == nil) != nobody || m.Direction != want.Direction || m.Ratio != want.Ratio ||
			m.MaxBytes != want.MaxBytes || m.Queue != want.Queue || m.Disconnect != want.Disconnect {
			t.Errorf("%s: %+v", text, m)
		}
	}
}

func TestTheNameOfAMirrorHasNoSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"file:/x/%c.bin?direction=both":                 "file:/x/%c.bin?direction=both",
		"file:/home/me@work":                            "file:/home/me@work",
		"tcp://h:1?queue=4MiB":                          "tcp://h:1?queue=4MiB",
		"tcp://me:hush@h:1":                             "tcp://h:1",
		"tls://me:hu@sh@h:1?queue=1k":                   "tls://h:1?queue=1k",
		"tls://me:hu/sh@h:1":                            "tls://h:1",
		"tls://h:1?servername=me@work":                  "tls://work",
		"exec:wc -c":                                    "exec:wc",
		"exec?queue=8k:/usr/bin/curl -H 'X: hush' -T -": "exec?queue=8k:curl",
		"exec:TOKEN=hush PATH=/x gzip -9 >x":            "exec:gzip",
		"exec:TOKEN='very hush' gzip":                   "exec:sh",
		"exec:TOKEN=$(cat hush) gzip":                   "exec:sh",
		"exec:(echo hush; cat) | nc h 1":                "exec:sh",
		"exec:'hush hush'":                              "exec:sh",
		"exec:hush;cat":                                 "exec:sh",
		"exec:":                                         "exec:sh",
		"null:":                                         "null:",
		"nothing":                                       "nothing",
		"":                                              "",
	} {
		if got := Safe(text); got != want {
			t.Errorf("%q is called %q, want %q", text, got, want)
		}
	}
	if _, err := Parse("exec?max=0:curl -u me:hush"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("says %v", err)
	}
}

func TestAMirrorThatMakesNoSenseIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                               "want file:, capture:",
		"/var/log/x":                     "want file:, capture:",
		"udp://h:1":                      "want file:, capture:",
		"file":                           "want file:, capture:",
		"file:":                          "want a place",
		"file:/x/":                       "name of a file",
		"file:/x/..":                     "name of a file",
		"file:/x/%q":                     "behind % want",
		"file:/x/%":                      "behind % want",
		"file:x?direction=both":          "nobody could tell them apart",
		"capture:%d":                     "both directions",
		"file:x?ratio=2":                 "no more than 1",
		"file:x?ratio=NaN":               "no more than 1",
		"file:x?ratio=0":                 "more than 0",
		"file:x?max=0":                   "more than nothing",
		"file:x?queue=much":              "want a size",
		"file:x?direction=up":            "want forward",
		"file:x?on-slow=block":           "want skip",
		"file:x?append":                  `option "append": want direction`,
		"file:x?max=1&max=2":             "twice",
		"tcp://h":                        "missing port",
		"tcp://h:1?append":               "want one of",
		"tcp?queue=1k://h:1":             "options stand behind",
		"null:x":                         "nothing behind it",
		"null:?retry=1s":                 "want direction",
		"exec:":                          "want a command",
		"unix:" + strings.Repeat("x", 0): "want a place",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestNoClientChoosesAFolder with what it says of itself, nor does a relay's name.
func TestNoClientChoosesAFolder(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	n, err := parseName("/log/%n/%a/%c-%d-%t%%")
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"192.0.2.1:5000":                 "192.0.2.1-5000",
		"[2001:db8::1]:5000":             "2001_db8__1-5000",
		"[fe80::1%../../etc/passwd]:1":   "fe80__1_.._.._etc_passwd-1",
		"[fe80::1%" + "\n\x00;rm -rf]:1": "fe80__1____rm_-rf-1",
		"[fe80::1%..]:1":                 "fe80__1_..-1",
		"":                               "unix",
	} {
		var a netip.AddrPort
		if from != "" {
			if a, err = netip.ParseAddrPort(from); err != nil {
				t.Fatal(err)
			}
		}
		c := relay.Info{ID: 7, Relay: "../..", From: a, Began: began}
		got := n.of(c, relay.Backward)
		if got != "/log/_._../"+want+"/7-backward-20260102T030405.000678Z%" || filepath.Clean(got) != got {
			t.Errorf("%s: %s", from, got)
		}
	}
	for _, name := range []string{"", ".", "..", "...", "a/../b", ".hidden", "-rf"} {
		if got := harmless(name); strings.Contains(got, "/") || got == "" || got[0] == '.' || got[0] == '-' {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}

func TestACommandIsToldWhichConnectionItIs(t *testing.T) {
	got := environment(relay.Info{ID: 7, Relay: "it's; rm", Target: "db:1"}, relay.Forward)
	const want = `export PENSTOCK_CONNECTION='7' PENSTOCK_DIRECTION='forward' PENSTOCK_RELAY='it'\''s; rm' ` +
		`PENSTOCK_FROM='unix' PENSTOCK_TARGET='db:1'; `
	if got != want {
		t.Error(got)
	}
}
