package address_test

import (
	"testing"

	"github.com/penstock-io/penstock/address"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct{ in, hostPort, wrong string }{
		{in: "tcp-listen://127.0.0.1:9000", hostPort: "127.0.0.1:9000"},
		{in: "tcp-listen://[::1]:9000", hostPort: "[::1]:9000"},
		{in: "tcp-listen://:9000", hostPort: ":9000"},
		{in: "127.0.0.1:9000", wrong: `address "127.0.0.1:9000": first path segment in URL cannot contain colon`},
		{in: "cam", wrong: `address "cam": no scheme: want tcp-listen://HOST:PORT`},
		{in: "udp://1.2.3.4:5", wrong: `address "udp://1.2.3.4:5": scheme "udp": want tcp-listen`},
		{in: "tcp-listen://127.0.0.1", wrong: `address "tcp-listen://127.0.0.1": missing port in address`},
		{in: "tcp-listen://127.0.0.1:99999", wrong: `address "tcp-listen://127.0.0.1:99999": port "99999": want 0 to 65535`},
		{in: "tcp-listen://127.0.0.1:9000/x", wrong: `address "tcp-listen://127.0.0.1:9000/x": want nothing but HOST:PORT behind tcp-listen://`},
	} {
		t.Run(tc.in, func(t *testing.T) {
			a, err := address.Parse(tc.in)
			switch {
			case err != nil && err.Error() != tc.wrong:
				t.Errorf("error %q, want %q", err, tc.wrong)
			case err == nil && (tc.wrong != "" || a.HostPort != tc.hostPort || a.String() != tc.in):
				t.Errorf("parsed as %+v", a)
			}
		})
	}
}
