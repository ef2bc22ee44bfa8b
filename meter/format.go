package meter

import (
	"fmt"
	"strings"
)

// kind is what a segment of a line shows.
type kind uint8

const (
	literal kind = iota
	showName
	showBytes
	showTimer
	showRate
	showAverage
	showProgress // the bar and the percentage
	showBar      // the bar alone, without its brackets
	showPercent
	showETA
	showFinETA
	showNote
	showStalled
	showPath
)

// segment is a piece of a line.
type segment struct {
	kind  kind
	text  string // a literal's
	width int    // of a bar: how wide it is asked to be, 0 for what is left
}

// sequences are pv's names of segments, its letters first.
var sequences = []struct {
	name string
	kind kind
}{
	{"b", showBytes},
	{"t", showTimer},
	{"r", showRate},
	{"a", showAverage},
	{"p", showProgress},
	{"e", showETA},
	{"I", showFinETA},
	{"N", showName},
	{"{bytes}", showBytes},
	{"{transferred}", showBytes},
	{"{timer}", showTimer},
	{"{rate}", showRate},
	{"{average-rate}", showAverage},
	{"{progress}", showProgress},
	{"{progress-bar-only}", showBar},
	{"{progress-amount-only}", showPercent},
	{"{eta}", showETA},
	{"{fineta}", showFinETA},
	{"{name}", showName},
	{"{note}", showNote},
	{"{stalled}", showStalled},
	{"{path}", showPath},
}

// FormatError is a format with a sequence that is not known.
type FormatError struct {
	Format   string
	Sequence string // with its "%"
}

func (e *FormatError) Error() string {
	var known strings.Builder
	for _, s := range sequences {
		known.WriteString(" %" + s.name)
	}
	return fmt.Sprintf("format %q: unknown sequence %q; known are%s %%%%", e.Format, e.Sequence, &known)
}

// widest is more than any bar is asked to be, so that a typing error does not fill memory.
const widest = 10_000

// parse takes a format apart. Its error is a *FormatError.
func parse(format string) ([]segment, error) {
	var all []segment
	for rest := format; rest != ""; {
		text, sequence, more := strings.Cut(rest, "%")
		if text != "" {
			all = append(all, segment{text: Clean(text)})
		}
		if !more {
			break
		}
		digits := len(sequence) - len(strings.TrimLeft(sequence, "0123456789"))
		n := 0
		for _, d := range sequence[:digits] {
			n = min(n*10+int(d-'0'), widest)
		}
		name := nameOf(sequence[digits:])
		s, ok := segmentOf(name)
		if !ok || digits > 0 && s.kind != showProgress && s.kind != showBar {
			return nil, &FormatError{format, "%" + sequence[:digits] + name}
		}
		s.width = n
		all = append(all, s)
		rest = sequence[digits+len(name):]
	}
	return all, nil
}

// nameOf is what a sequence is called that begins here: a character, or a word in braces.
func nameOf(s string) string {
	if strings.HasPrefix(s, "{") {
		if end := strings.IndexByte(s, '}'); end >= 0 {
			return s[:end+1]
		}
	}
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}

func segmentOf(name string) (segment, bool) {
	if name == "%" {
		return segment{text: "%"}, true
	}
	for _, s := range sequences {
		if s.name == name {
			return segment{kind: s.kind}, true
		}
	}
	return segment{}, false
}

// partsOf is the line without a format.
func partsOf(p Parts) []segment {
	p = p.orDefault()
	all := []segment{{kind: showName}}
	for _, part := range []struct {
		part Parts
		kind kind
	}{
		{Bytes, showBytes},
		{Timer, showTimer},
		{Rate, showRate},
		{Average, showAverage},
		{Bar, showProgress},
		{ETA, showETA},
		{FinETA, showFinETA},
	} {
		if p&part.part != 0 {
			all = append(all, segment{kind: part.kind})
		}
	}
	return append(all, segment{kind: showNote}, segment{kind: showStalled}, segment{kind: showPath})
}
