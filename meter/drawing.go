package meter

import (
	"fmt"
	"strings"
)

// What is sent to terminals: ECMA-48, as all of them have it.
const (
	eraseLine = "\x1b[K" // from the cursor on
	eraseRest = "\x1b[J" // and all lines below
)

// drawing is what stands on a screen at the moment. The cursor is at the beginning of its last line: so what a user
// types or another program writes begins there, too. The zero drawing is none, on what is no terminal.
type drawing struct {
	terminal bool
	lines    []string
	widest   int // columns of the widest line
}

// draw replaces what stands there. The last one stays, with the cursor below.
func (d *drawing) draw(b *strings.Builder, lines []string, width, rows int, last bool) {
	if !d.terminal {
		d.plain(b, lines, last)
		return
	}
	if rows > 0 && len(lines) > rows && !last {
		more := fmt.Sprintf("and %d more", len(lines)-rows+1)
		lines = append(lines[:rows-1:rows-1], cut(more, width))
	}
	if len(d.lines) > rows && rows > 0 || d.widest > width {
		// Of lines that were longer than the screen is wide now some terminals have made two, and some have not:
		// where they begin is not known any more. They are left alone.
		b.WriteString("\r\n" + eraseRest)
		d.forget()
	}
	d.home(b)
	if len(lines) < len(d.lines) {
		b.WriteString(eraseRest)
	}
	d.lines, d.widest = lines, 0
	for _, l := range lines {
		d.widest = max(d.widest, columns(l))
	}
	d.restore(b)
	if last && len(lines) > 0 {
		b.WriteString("\n")
		d.forget()
	}
}

// plain is for what is no terminal: one line is followed by \r, as of pv -f, and padded so that the one before does
// not show; several are lines each time.
func (d *drawing) plain(b *strings.Builder, lines []string, last bool) {
	for _, l := range lines {
		b.WriteString(l)
		if len(lines) > 1 {
			b.WriteString("\n")
			continue
		}
		b.WriteString(strings.Repeat(" ", max(d.widest-columns(l), 0)) + "\r")
		if last {
			b.WriteString("\n")
		}
		d.widest = columns(l)
	}
	if d.lines = lines; len(lines) > 1 || last {
		d.forget()
	}
}

// home moves the cursor to the beginning of the first line.
func (d *drawing) home(b *strings.Builder) {
	b.WriteString("\r")
	if n := len(d.lines) - 1; n > 0 {
		fmt.Fprintf(b, "\x1b[%dA", n)
	}
}

// clear makes room for text where the lines stand, and restore draws them again below it. A line is erased before
// it is written: where it fills the screen's width, the cursor stands on its last character afterwards.
func (d *drawing) clear(b *strings.Builder) {
	switch {
	case len(d.lines) == 0:
	case d.terminal:
		d.home(b)
		b.WriteString(eraseRest)
	default:
		b.WriteString("\n")
		d.forget()
	}
}

func (d *drawing) restore(b *strings.Builder) {
	for i, l := range d.lines {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(eraseLine + l + "\r")
	}
}

// newline ends a line of text: on a terminal in raw mode, a line feed alone leaves the column as it is.
func (d *drawing) newline() string {
	if d.terminal {
		return "\r\n"
	}
	return "\n"
}

// forget leaves what stands there to stand.
func (d *drawing) forget() { d.lines, d.widest = nil, 0 }
