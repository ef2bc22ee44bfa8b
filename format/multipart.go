package format

import (
	"bytes"
	"strings"
)

// multipart scans multipart/x-mixed-replace, the way of network cameras to send motion JPEG (RFC 2046, section 5.1).
//
// A join point is a delimiter: a line with two dashes and the boundary. A viewer's stream begins with the dashes.
// Cameras that count the dashes as part of the boundary they declare are understood. A viewer may stop before a
// delimiter, and before the closing one, which has two dashes behind the boundary and is no join point.
//
// Where a part has a Content-Length, what looks like a delimiter within that length is none. A length that does not
// lead to a delimiter was wrong, and no length is believed after that.
type multipart struct {
	delimiters [][]byte // how such a line begins

	at    position
	left  int64 // bytes of the part that are certain not to be a delimiter; in counted
	next  int64 // as many are announced, or -1; in headers
	wrong bool  // a length was
}

// position tells what the next run begins with.
type position uint8

const (
	lineStart position = iota // in a part of unknown length, or before or behind all of them
	midLine                   // likewise
	headers                   // a header line of a part, or the empty line behind them
	counted                   // in a part of known length
	due                       // behind one: only line ends may come before a delimiter
)

const (
	maxBoundary = 256      // bytes of a boundary; RFC 2046 allows 70
	maxLine     = 1024     // bytes of a delimiter line or header line; a longer line is neither
	maxPart     = 64 << 20 // bytes of a part; a length beyond is not believed
)

func newMultipart(boundary string) (*multipart, bool) {
	if boundary == "" || len(boundary) > maxBoundary || strings.ContainsAny(boundary, "\r\n") {
		return nil, false
	}
	m := &multipart{delimiters: [][]byte{[]byte("--" + boundary)}}
	if strings.HasPrefix(boundary, "--") {
		m.delimiters = append(m.delimiters, []byte(boundary))
	}
	return m, true
}

func (m *multipart) Header() []byte { return nil }

func (m *multipart) Scan(run []byte) (join, cut, end int) {
	join, cut = -1, -1
	p := 0
	for p < len(run) {
		switch m.at {
		case counted:
			n := min(m.left, int64(len(run)-p))
			p += int(n)
			if m.left -= n; m.left == 0 {
				m.at = due
			}
			continue
		case midLine:
			i := bytes.IndexByte(run[p:], '\n')
			if i < 0 {
				return join, cut, len(run)
			}
			p += i + 1
			m.at = lineStart
			continue
		}
		kind, n := m.delimiter(run[p:])
		switch {
		case kind == undecided:
			return join, cut, p
		case kind != noDelimiter:
			if cut < 0 {
				cut = p
			}
			if m.at = lineStart; kind == opening {
				join, m.at, m.next = p, headers, -1
			}
		default:
			if n = m.line(run[p:]); n < 0 {
				return join, cut, p
			}
		}
		p += n
	}
	return join, cut, p
}

// line takes the line that b begins with, which is no delimiter, and returns how much of it was taken, or -1 if more of
// it is needed.
func (m *multipart) line(b []byte) int {
	if m.at == lineStart {
		m.at = midLine
		return 0
	}
	i := bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	if m.at == due {
		switch {
		case i == 0, i == 1 && b[0] == '\r':
			return i + 1
		case len(b) == 1 && b[0] == '\r':
			return -1
		}
		m.at, m.wrong = midLine, true
		return 0
	}
	if i < 0 {
		if len(b) < maxLine {
			return -1
		}
		m.at = midLine
		return 0
	}
	line := bytes.TrimRight(b[:i], "\r")
	switch {
	case len(line) > 0:
		if n, ok := contentLength(line); ok {
			m.next = n
		}
	case m.next >= 0 && !m.wrong:
		m.at, m.left = counted, m.next
	default:
		m.at = lineStart
	}
	return i + 1
}

// contentLength returns what a header line announces, if it is that header and to be believed.
func contentLength(line []byte) (int64, bool) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !bytes.EqualFold(name, []byte("Content-Length")) {
		return 0, false
	}
	value = bytes.Trim(value, " \t")
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' || n > maxPart {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(value) > 0 && n <= maxPart
}

// delimiterKind is what the beginning of a line may be.
type delimiterKind uint8

const (
	noDelimiter delimiterKind = iota
	undecided                 // for want of bytes
	opening                   // before a part
	closing                   // behind the last
)

// delimiter tells what kind of delimiter a line is, and its length with the line end.
func (m *multipart) delimiter(line []byte) (delimiterKind, int) {
	if line[0] != '-' {
		return noDelimiter, 0
	}
	best := noDelimiter
	for _, d := range m.delimiters {
		kind, n := delimiterLine(line, d)
		if kind > undecided {
			return kind, n
		}
		best = max(best, kind)
	}
	return best, 0
}

func delimiterLine(line, d []byte) (delimiterKind, int) {
	if n := min(len(line), len(d)); !bytes.Equal(line[:n], d[:n]) {
		return noDelimiter, 0
	}
	if len(line) <= len(d) {
		return undecided, 0
	}
	kind, n := opening, len(d)
	if dashes := []byte("--"); bytes.HasPrefix(line[n:], dashes) {
		kind, n = closing, n+len(dashes)
	} else if len(line) == n+1 && line[n] == '-' {
		return undecided, 0
	}
	for n < len(line) && n < maxLine && (line[n] == ' ' || line[n] == '\t') {
		n++
	}
	rest := line[n:]
	switch {
	case len(rest) == 0, len(rest) == 1 && rest[0] == '\r':
		return undecided, 0
	case rest[0] == '\n':
		return kind, n + 1
	case rest[0] == '\r' && rest[1] == '\n':
		return kind, n + 2
	}
	return noDelimiter, 0
}
