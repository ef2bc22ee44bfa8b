package meter

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Clean makes a text harmless for a terminal: what is no printable character is written as Go would write it in a
// string, "\x1b" or "\u202e" (which would turn the direction of what follows).
func Clean(s string) string {
	harmful := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	if strings.IndexFunc(s, harmful) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			const hex = "0123456789abcdef"
			b.WriteString(`\x`)
			b.WriteByte(hex[s[i]>>4])
			b.WriteByte(hex[s[i]&15])
		case !unicode.IsPrint(r):
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// columnsOf is the room that a character takes on a terminal. Of those that Unicode calls ambiguous it is 1, as
// terminals have it outside East Asia.
func columnsOf(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// cut is the beginning of a text that fits into so many columns.
func cut(s string, room int) string {
	for i, r := range s {
		if room -= columnsOf(r); room < 0 {
			return s[:i]
		}
	}
	return s
}

// cutFront is the end of a text, with dots in front of it if there was more. In it names that have a long beginning
// in common differ.
func cutFront(s string, room int) string {
	over := columns(s) - room
	if over <= 0 {
		return s
	}
	over += len("..")
	for i, r := range s {
		if over <= 0 && columnsOf(r) > 0 { // a combining character goes with what it combines with
			return ".." + s[i:]
		}
		over -= columnsOf(r)
	}
	return cut("..", room)
}
