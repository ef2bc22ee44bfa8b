package relay

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// v2 is a header of version 2.
func v2(command, family byte, body string) string {
	b := append(bytes.Clone(proxySignature), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(body)))) + body
}

var proxyHeaders = []struct {
	header   string
	from, to string // "" is none
	err      string
}{
	{"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\n", "192.0.2.1:1234", "198.51.100.2:443", ""},
	{"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "[2001:db8::1]:65535", "[::1]:0", ""},
	{"PROXY UNKNOWN\r\n", "", "", ""},
	{"PROXY UNKNOWN ff:: whatever\x00 1 2\r\n", "", "", ""},
	{"PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n", "", "", "want TCP4"},
	{"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443 \r\n", "", "", "want TCP4"},
	{"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n", "", "", "want TCP4"},
	{"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", "", "", "no TCP4 one"},
	{"PROXY TCP4 ::1 ::2 1 2\r\n", "", "", "no TCP4 one"},
	{"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "", "", "no TCP6 one"},
	{"PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", "", "", "no TCP6 one"},
	{"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", "", "", "port"},
	{"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", "", "", "port"},
	{"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", "", "", "port"},
	{"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "", "", "want TCP4"},
	{"PROXY \r\nUNKNOWN\r\n", "", "", "want TCP4"},
	{"PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "", "", ""}, // 107 bytes
	{"PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "", "", "107"},
	{"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", "", "", "does not begin"},
	{"GET / HTTP/1.1\r\n", "", "", "does not begin"},
	{"PROXY TCP4", "", "", "EOF"},
	{"PROXY TCP4 1.2.3.4 ", "", "", "EOF"},
	{"", "", "", "EOF"},
	{v2(1, 0x11, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x09\x00\x0a"), "1.2.3.4:9", "5.6.7.8:10", ""},
	{v2(1, 0x11, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x09\x00\x0a\x04\x00\x01x"), "1.2.3.4:9", "5.6.7.8:10", ""}, // a TLV
	{v2(1, 0x21, strings.Repeat("\x00", 15)+"\x01"+strings.Repeat("\x00", 15)+"\x02\x00\x09\x00\x0a"), "[::1]:9", "[::2]:10", ""},
	{v2(0, 0x00, ""), "", "", ""},
	{v2(0, 0x11, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x09\x00\x0a"), "", "", ""}, // of itself
	{v2(1, 0x31, strings.Repeat("a", 216)), "", "", ""},                           // Unix
	{v2(1, 0x12, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x09\x00\x0a"), "", "", ""}, // UDP
	{v2(1, 0x11, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x09\x00"), "", "", "want 12"},
	{v2(2, 0x11, ""), "", "", "command 2"},
	{string(proxySignature) + "\x11\x11\x00\x00", "", "", "version 1"},
	{v2(1, 0x11, "\x01\x02")[:17], "", "", "EOF"},
}

// TestProxyHeadersAreReadToTheLastByte and not one more.
func TestProxyHeadersAreReadToTheLastByte(t *testing.T) {
	for _, test := range proxyHeaders {
		rest := "and what follows, which is the client's"
		if strings.Contains(test.err, "EOF") {
			rest = ""
		}
		r := strings.NewReader(test.header + rest)
		from, to, err := readProxyHeader(r)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: %v, want %q", test.header, err, test.err)
			}
			continue
		}
		text := func(a netip.AddrPort) string {
			if !a.IsValid() {
				return ""
			}
			return a.String()
		}
		if err != nil || text(from) != test.from || text(to) != test.to {
			t.Errorf("%q: %v, %v, %v", test.header, from, to, err)
		}
		if left, _ := io.ReadAll(r); string(left) != rest {
			t.Errorf("%q: %q is left", test.header, left)
		}
	}
}

// FuzzProxyHeader asserts that nothing more is read than the header, that what is read can be said again and is then the
// same, and that no header makes sense cut short.
func FuzzProxyHeader(f *testing.F) {
	for _, one := range proxyHeaders {
		f.Add([]byte(one.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		from, to, err := readProxyHeader(r)
		if err != nil {
			if from.IsValid() || to.IsValid() {
				t.Errorf("%v, and %v to %v", err, from, to)
			}
			return
		}
		n := len(b) - r.Len()
		if one := b[:n]; one[0] == 'P' && (n > longestProxyLine || !bytes.HasSuffix(one, []byte("\r\n"))) {
			t.Errorf("%q is a header", one)
		}
		if _, _, err := readProxyHeader(bytes.NewReader(b[:n-1])); err == nil {
			t.Errorf("%q is a header without its end", b[:n])
		}
		for version := 1; version <= 2; version++ {
			said := appendProxyHeader(nil, version, from, to)
			if version == 1 && len(said) > longestProxyLine {
				t.Errorf("%q is too long", said)
			}
			from2, to2, err := readProxyHeader(bytes.NewReader(said))
			if known := from.IsValid() && from.Addr().Is4() == to.Addr().Is4(); !known {
				from, to = netip.AddrPort{}, netip.AddrPort{}
			}
			if err != nil || from2 != from || to2 != to {
				t.Errorf("%v to %v was said as %q, and understood as %v to %v, %v", from, to, said, from2, to2, err)
			}
		}
	})
}
