package mirror

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/penstock-io/penstock/relay"
)

// name is that of a file for each connection.
type name []piece

// piece is text, or what a letter behind a percent sign stands for.
type piece struct {
	text   string
	letter byte // 0 for text
}

// parseName reads a name.
func parseName(text string) (n name, err error) {
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("has a zero byte")
	}
	if strings.HasPrefix(text, "///") {
		text = text[2:] // as in a URL without a host
	}
	if base := filepath.Base(text); strings.HasSuffix(text, "/") || base == "." || base == ".." {
		return nil, errors.New("want the name of a file")
	}
	for {
		before, after, is := strings.Cut(text, "%")
		if before != "" {
			n = append(n, piece{text: before})
		}
		switch {
		case !is:
			return n, nil
		case after == "" || !strings.Contains("cdatn%", after[:1]):
			return nil, fmt.Errorf("%q: behind %% want c, d, a, t, n or %%", "%"+after)
		case after[0] == '%':
			n = append(n, piece{text: "%"})
		default:
			n = append(n, piece{letter: after[0]})
		}
		text = after[1:]
	}
}

func (n name) has(letter byte) bool {
	for _, p := range n {
		if p.letter == letter {
			return true
		}
	}
	return false
}

// of is the name for one connection.
func (n name) of(c relay.Info, d relay.Direction) string {
	var b strings.Builder
	for _, p := range n {
		switch p.letter {
		case 0:
			b.WriteString(p.text)
		case 'c':
			b.WriteString(strconv.FormatUint(c.ID, 10))
		case 'd':
			b.WriteString(d.String())
		case 'a':
			b.WriteString(harmless(addressOf(c)))
		case 't':
			b.WriteString(c.Began.UTC().Format("20060102T150405.000000Z"))
		case 'n':
			b.WriteString(harmless(c.Relay))
		}
	}
	return b.String()
}

// addressOf is the client's: that of a Unix socket is unix.
func addressOf(c relay.Info) string {
	if !c.From.IsValid() {
		return "unix"
	}
	return c.From.Addr().String() + "-" + strconv.Itoa(int(c.From.Port()))
}

// harmless replaces what could lead to another folder, be hidden, or be taken for something else by a shell: the zone
// of an IPv6 address may be any text that a client's PROXY header has.
func harmless(text string) string {
	if text == "" {
		return "_"
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-':
			return r
		default:
			return '_'
		}
	}, text[:min(len(text), 100)])
	if text[0] == '.' || text[0] == '-' {
		return "_" + text[1:]
	}
	return text
}
