package address_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	. "github.com/penstock-io/penstock/address"
)

func TestAnAddressIsReadAsPeopleWriteIt(t *testing.T) {
	for text, want := range map[string]Address{
		"-":                                     {Scheme: Stdio},
		"-?on-slow=skip":                        {Scheme: Stdio, Options: Options{OnSlow: "skip"}},
		"fd:3":                                  {Scheme: FD, FD: 3},
		"rec.ts":                                {Scheme: File, Path: "rec.ts"},
		"a?b":                                   {Scheme: File, Path: "a?b"},
		"50%":                                   {Scheme: File, Path: "50%"},
		"./a:9":                                 {Scheme: File, Path: "./a:9"},
		"dir/a:b":                               {Scheme: File, Path: "dir/a:b"},
		"file:a%3Fb":                            {Scheme: File, Path: "a?b"},
		"file:///tmp/x":                         {Scheme: File, Path: "/tmp/x"},
		"file:x?":                               {Scheme: File, Path: "x"},
		"file:x?append&sync":                    {Scheme: File, Path: "x", Options: Options{Append: true, Sync: true}},
		"file:x?append=false":                   {Scheme: File, Path: "x"},
		"file:x?offset=64KiB&direct":            {Scheme: File, Path: "x", Options: Options{Offset: 65536, Direct: true}},
		"file:x?excl&mode=0640":                 {Scheme: File, Path: "x", Options: Options{Excl: true, Mode: 0o640}},
		"fifo:p?create":                         {Scheme: FIFO, Path: "p", Options: Options{Create: true}},
		"tcp://host:9000":                       {Scheme: TCP, HostPort: "host:9000"},
		"host:9000":                             {Scheme: TCP, HostPort: "host:9000"},
		"host:9000?retry=5s":                    {Scheme: TCP, HostPort: "host:9000", Options: Options{Retry: 5 * time.Second}},
		"[::1]:9":                               {Scheme: TCP, HostPort: "[::1]:9"},
		":9":                                    {Scheme: TCP, HostPort: ":9"},
		"127.0.0.1:0":                           {Scheme: TCP, HostPort: "127.0.0.1:0"},
		"tcp://[fe80::1%eth0]:9?timeout=1m":     {Scheme: TCP, HostPort: "[fe80::1%eth0]:9", Options: Options{Timeout: time.Minute}},
		"tcp://h:1?nodelay=false":               {Scheme: TCP, HostPort: "h:1", Options: Options{Gather: true}},
		"tcp://h:1?nodelay":                     {Scheme: TCP, HostPort: "h:1"},
		"tcp://h:1?keepalive=0":                 {Scheme: TCP, HostPort: "h:1", Options: Options{KeepAlive: -1}},
		"tcp://h:1?bind=::1&sndbuf=1MiB":        {Scheme: TCP, HostPort: "h:1", Options: Options{Bind: "::1", SendBuf: 1 << 20}},
		"tcp-listen://:9000?accept=3":           {Scheme: TCPListen, HostPort: ":9000", Options: Options{Accept: 3}},
		"tcp-listen://:9000?accept=0":           {Scheme: TCPListen, HostPort: ":9000", Options: Options{Accept: -1}},
		"tcp-listen://:9000?fork":               {Scheme: TCPListen, HostPort: ":9000", Options: Options{Fork: true}},
		"unix:/run/s":                           {Scheme: Unix, Path: "/run/s"},
		"unix-listen:@name":                     {Scheme: UnixListen, Path: "@name"},
		"tls://h:1?ca=a%20b.pem":                {Scheme: TLS, HostPort: "h:1", Options: Options{CA: "a b.pem"}},
		"tls://h:1?alpn=h2,http/1.1":            {Scheme: TLS, HostPort: "h:1", Options: Options{ALPN: []string{"h2", "http/1.1"}}},
		"udp://239.1.1.1:5?ttl=4&packet=1316":   {Scheme: UDP, HostPort: "239.1.1.1:5", Options: Options{TTL: 4, Packet: 1316}},
		"udp-listen://239.1.1.1:5?interface=lo": {Scheme: UDPListen, HostPort: "239.1.1.1:5", Options: Options{Interface: "lo"}},
		"http://h/p?q=1&retry=1s&r=2#f":         {Scheme: HTTP, URL: "http://h/p?q=1&r=2#f", Options: Options{Retry: time.Second}},
		"http?:" + "//h/p?retry=1s":             {Scheme: HTTP, URL: "http://h/p?retry=1s"},
		"https?retry=1s://h/?timeout=1":         {Scheme: HTTPS, URL: "https://h/?timeout=1", Options: Options{Retry: time.Second}},
		"http://h/?header=A:b&header=C:d":       {Scheme: HTTP, URL: "http://h/", Options: Options{Header: []string{"A:b", "C:d"}}},
		"exec:ffprobe - | head -c 5?":           {Scheme: Exec, Command: "ffprobe - | head -c 5?"},
		"exec?on-slow=skip:ffprobe -":           {Scheme: Exec, Command: "ffprobe -", Options: Options{OnSlow: "skip"}},
		"null:":                                 {Scheme: Null},
		"null:?on-slow=block":                   {Scheme: Null, Options: Options{OnSlow: "block"}},
		"zero:":                                 {Scheme: Zero},
		"random:":                               {Scheme: Random},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := Parse(text)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v, %v, want %+v", got, err, want)
			}
			again, err := Parse(got.String())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("written as %q, which reads as %+v, %v", got.String(), again, err)
			}
		})
	}
}

func TestWhatIsWrongWithAnAddressIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"":                            `is empty: want a path, HOST:PORT, or one of -, fd:, file:, `,
		"cam:":                        `scheme "cam": want one of -, fd:, `,
		"cam:x":                       `scheme "cam": want one of -, fd:, `,
		"ftp://h/x":                   `scheme "ftp": want one of `,
		"tcp:h:1":                     `scheme "tcp": want tcp:// in front`,
		"h:99999":                     `port "99999": want 0 to 65535`,
		"tcp://h":                     `missing port in address`,
		"tcp://h:http":                `port "http": want 0 to 65535`,
		"tcp://h:+1":                  `port "+1": want 0 to 65535`,
		"tcp://h:1/x":                 `path "/x": want nothing behind HOST:PORT`,
		"tcp://u@h:1":                 `host "u@h": want a name or an address`,
		"::1":                         `an IPv6 address stands in brackets, as in [::1]:9000`,
		"tcp://[::1:9":                `missing ']' in address`,
		"tcp://h:1?wait":              `option "wait": want one of bind, keepalive, nodelay, on-slow, rcvbuf, retry, sndbuf, timeout`,
		"zero:?x":                     `option "x": zero: has none`,
		"tcp://h:1?retry=5":           `option "retry" "5": want a duration such as 5s`,
		"tcp://h:1?retry=-5s":         `option "retry" "-5s": want a duration such as 5s`,
		"tcp://h:1?retry=1s&retry=1s": `option "retry": stands there twice`,
		"tcp://h:1?bind=h:x":          `option "bind" "h:x": port "x": want 0 to 65535`,
		"tcp://h:1?sndbuf=0":          `option "sndbuf" "0": want more than nothing, and less than 2GiB`,
		"file:x?offset=much":          `option "offset" "much": want a size such as 64MiB`,
		"file:x?mode=999":             `option "mode" "999": want permissions in octal, such as 0640`,
		"file:x?append=perhaps":       `option "append" "perhaps": want true or false`,
		"file:x?append&":              `option "": want one of `,
		"file:x?mode=%zz":             `option "mode": % is not followed by two hexadecimal digits; % itself is %25`,
		"file:50%":                    `path "50%": % is not followed by two hexadecimal digits; % itself is %25`,
		"file:":                       `path "": want a path`,
		"unix:@":                      `path "@": want a path`,
		"fd:one":                      `descriptor "one": want a number such as 3`,
		"fd:-1":                       `descriptor "-1": want a number such as 3`,
		"null:x":                      `"x": want nothing behind null:`,
		"exec:":                       `want a command`,
		"exec: ":                      `want a command`,
		"http:///x":                   `host: want one, as in http://HOST/PATH`,
		"http://h:99999/":             `port "99999": want 0 to 65535`,
		"http://h/?header=x":          `option "header" "x": want Name:Value`,
		"udp://h:1?packet=70000":      `option "packet" "70000": want 1 to 65507`,
		"tcp-listen://:1?accept=no":   `option "accept" "no": want a number of connections, or 0 for no end`,
		"-?on-slow=wait":              `option "on-slow" "wait": want block, skip or disconnect`,
	} {
		t.Run(text, func(t *testing.T) {
			_, err := Parse(text)
			if err == nil {
				t.Fatal("is taken")
			}
			want = `address "` + text + `": ` + want
			if got := err.Error(); got != want && !(strings.HasSuffix(want, " ") && strings.HasPrefix(got, want)) { // a list goes on
				t.Errorf("says\n%s, want\n%s", got, want)
			}
		})
	}
}

func TestWhatAnAddressCannotBeIsToldBeforeItIsOpened(t *testing.T) {
	for _, tc := range []struct {
		text string
		role Role
		want string
	}{
		{"random:", Destination, `can only be a source: for a destination there is null:`},
		{"zero:", Both, `can only be a source`},
		{"udp-listen://:9", Destination, `can only be a source: for a destination there is udp://HOST:PORT`},
		{"x", Both, `goes one way: can be a source or a destination, but not both`},
		{"file:x?append", Source, `option "append": means nothing for a source`},
		{"tcp://h:1?on-slow=skip", Source, `option "on-slow": means nothing for a source`},
		{"tcp://h:1?on-slow=skip", Both, `option "on-slow": means nothing for a source and destination`},
		{"file:x?append&offset=1", Destination, `option "offset": does not go with "append"`},
		{"tls-listen://:9", Source, `option "cert": is needed: a file with a certificate, and its key unless "key" has that`},
		{"tls://h:9?key=k", Source, `option "key": needs "cert"`},
		{"tls://h:9?insecure&ca=c", Source, `option "insecure": does not go with "ca"`},
		{"udp://h:9", Source, `option "bind": is needed, as nothing is sent that could be answered; udp-listen:// receives`},
	} {
		t.Run(tc.text, func(t *testing.T) {
			a, err := Parse(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			err = a.Check(tc.role)
			if want := `address "` + a.String() + `": ` + tc.want; err == nil || err.Error() != want {
				t.Errorf("says\n%v, want\n%s", err, want)
			}
			if _, err := a.Open(t.Context(), tc.role, Config{}); err == nil {
				t.Error("is opened")
			}
		})
	}
}

func TestSecretsAreNotInErrors(t *testing.T) {
	a, err := Parse("http://me:hush@h/?header=Authorization:hush")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Redacted(); strings.Contains(got, "hush") || !strings.Contains(got, "Authorization") {
		t.Error(got)
	}
	if !strings.Contains(a.String(), "hush") {
		t.Error("the address itself has lost them")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"-", "fd:3", "a?b", "file:a%3Fb?append&mode=0600", "file:%2F//x?sync", "///x", "host:9000?retry=5s&bind=[::1]:2", "[::1]:9", ":9",
		"tcp-listen://:9?accept=0&fork&keepalive=0", "unix-listen:@x?mode=0600", "tls://h:1?alpn=a,b&servername=x", "udp://h:1?packet=7&ttl=9",
		"http://h/p?q=1&retry=1s#f", "http?:" + "//h/?retry=1", "https?header=A:b%26c://u:p@h:1/", "exec?on-slow=skip:a?b:c", "exec:x", "C:\\x", "null:?", "file:?",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			if _, ok := err.(*Error); !ok {
				t.Fatalf("%T", err)
			}
			return
		}
		again, err := Parse(a.String())
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Fatalf("%q reads as %+v, written as %q, which reads as %+v, %v", s, a, a.String(), again, err)
		}
		for _, role := range []Role{Source, Destination, Both} {
			_ = a.Check(role)
		}
		_ = a.Redacted()
	})
}
