package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The PROXY protocol: a header in front of a connection's bytes that says who is at the other end of it.
// (HAProxy, doc/proxy-protocol.txt)

// proxySignature begins a header of version 2. It is shorter than any header of version 1.
var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

const longestProxyLine = 107 // with its CR LF

var errNoProxyHeader = errors.New("does not begin with a PROXY header")

// errNotProxy is for a client whose word is not taken for who it is.
var errNotProxy = fmt.Errorf("PROXY header: %w", errDenied)

// readProxyHeader reads the client's header, if the client is one of those who may send any. A Unix socket's has no
// address: who may connect there is up to the socket's mode.
func (c *conn) readProxyHeader() (from, to netip.AddrPort, err error) {
	peer := c.from.Addr().WithZone("")
	within := func(p netip.Prefix) bool { return p.Contains(peer) }
	if peer.IsValid() && len(c.c.ProxyFrom) > 0 && !slices.ContainsFunc(c.c.ProxyFrom, within) {
		return from, to, errNotProxy
	}
	return readProxyHeader(c.client)
}

// readProxyHeader reads a header of either version from the beginning of a connection, and not a byte more. The addresses
// are zero where the header does not tell any: a health check's (LOCAL), or an UNKNOWN one.
func readProxyHeader(r io.Reader) (from, to netip.AddrPort, err error) {
	b := make([]byte, len(proxySignature), longestProxyLine)
	if _, err := io.ReadFull(r, b); err != nil {
		return from, to, cutShort(err)
	}
	if bytes.Equal(b, proxySignature) {
		return readProxyV2(r)
	}
	if !bytes.HasPrefix(b, []byte("PROXY ")) {
		return from, to, errNoProxyHeader
	}
	for !bytes.HasSuffix(b, []byte("\r\n")) { // byte by byte: what is behind it is not ours
		if len(b) == longestProxyLine {
			return from, to, errors.New("PROXY header: longer than 107 bytes")
		}
		b = b[:len(b)+1]
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return from, to, cutShort(err)
		}
	}
	return parseProxyV1(string(b[:len(b)-2]))
}

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("PROXY header: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func parseProxyV1(line string) (from, to netip.AddrPort, err error) {
	fields := strings.Split(line, " ")
	if len(fields) > 1 && fields[1] == "UNKNOWN" {
		return from, to, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return from, to, fmt.Errorf("PROXY header %q: want TCP4 or TCP6, two addresses and two ports", line)
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(fields[2+i])
		if err != nil || addr.Is4() != (fields[1] == "TCP4") || addr.Zone() != "" {
			return from, to, fmt.Errorf("PROXY header: address %q is no %s one", fields[2+i], fields[1])
		}
		port, err := strconv.ParseUint(fields[4+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != fields[4+i] {
			return from, to, fmt.Errorf("PROXY header: port %q: want 0 to 65535", fields[4+i])
		}
		ends[i] = netip.AddrPortFrom(addr, uint16(port))
	}
	return ends[0], ends[1], nil
}

func readProxyV2(r io.Reader) (from, to netip.AddrPort, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return from, to, cutShort(err)
	}
	if head[0]>>4 != 2 {
		return from, to, fmt.Errorf("PROXY header: version %d in a header of version 2", head[0]>>4)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[2:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return from, to, cutShort(err)
	}
	switch command := head[0] & 15; command {
	case 0: // LOCAL: the proxy speaks for itself
		return from, to, nil
	case 1: // PROXY
	default:
		return from, to, fmt.Errorf("PROXY header: command %d: want 0 or 1", command)
	}
	size := 0
	switch head[1] {
	case 0x11: // TCP over IPv4
		size = 4
	case 0x21: // TCP over IPv6
		size = 16
	default:
		return from, to, nil // something that has no such addresses, or is not known: the connection's own hold
	}
	if len(body) < 2*size+4 {
		return from, to, fmt.Errorf("PROXY header: %d bytes of addresses, want %d", len(body), 2*size+4)
	}
	src, _ := netip.AddrFromSlice(body[:size])
	dst, _ := netip.AddrFromSlice(body[size : 2*size])
	from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(body[2*size:]))
	to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(body[2*size+2:]))
	return from, to, nil
}

// proxyHeader returns what is to be in front of the client's bytes; nil if nothing is.
func (c *conn) proxyHeader() []byte {
	if c.c.ProxyOut == 0 {
		return nil
	}
	return appendProxyHeader(nil, c.c.ProxyOut, c.from, c.to)
}

// ownProxyHeader returns the header of a version for connections that nobody is behind; nil if there is to be none.
func ownProxyHeader(version int) []byte {
	switch version {
	case 1:
		return []byte("PROXY UNKNOWN\r\n")
	case 2:
		return append(slices.Clone(proxySignature), 0x20, 0x00, 0, 0)
	}
	return nil
}

// appendProxyHeader appends the header of a version that names a connection's ends. Where they are not both known, or of
// different families, it says that they are unknown.
func appendProxyHeader(b []byte, version int, from, to netip.AddrPort) []byte {
	known := from.IsValid() && to.IsValid() && from.Addr().Is4() == to.Addr().Is4()
	four := known && from.Addr().Is4()
	if version == 1 {
		switch {
		case !known:
			return append(b, "PROXY UNKNOWN\r\n"...)
		case four:
			b = append(b, "PROXY TCP4 "...)
		default:
			b = append(b, "PROXY TCP6 "...)
		}
		return fmt.Appendf(b, "%s %s %d %d\r\n", from.Addr().WithZone(""), to.Addr().WithZone(""), from.Port(), to.Port())
	}
	b = append(b, proxySignature...)
	switch {
	case !known:
		return append(b, 0x21, 0x00, 0, 0)
	case four:
		b = append(b, 0x21, 0x11, 0, 12)
	default:
		b = append(b, 0x21, 0x21, 0, 36)
	}
	b = append(b, from.Addr().AsSlice()...)
	b = append(b, to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	return binary.BigEndian.AppendUint16(b, to.Port())
}
