package manual

import (
	"regexp"
	"strings"
)

// text sets paragraphs, lists and examples, as the package's doc tells them apart.
func (p *page) text(s string) {
	for _, block := range blocks(s) {
		list, isList := parseList(block)
		switch {
		case isList:
			p.list(list)
		case indented(block[0]):
			p.example(block)
		default:
			p.paragraph()
			p.line("%s", prose(block...))
		}
	}
}

// blocks cuts a text at empty lines, and where indented lines begin or end.
func blocks(s string) (all [][]string) {
	var block []string
	end := func() {
		if len(block) > 0 {
			all = append(all, block)
		}
		block = nil
	}
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n ")
		if line == "" {
			end()
			continue
		}
		if len(block) > 0 && indented(line) != indented(block[0]) {
			end()
		}
		block = append(block, line)
	}
	end()
	return all
}

func indented(line string) bool { return strings.HasPrefix(line, "  ") }

// item is one of a list.
type item struct {
	term string
	text []string
}

var listLine = regexp.MustCompile(`^(  +)(\S+(?: \S+)*)(  +)(\S+(?: \S+)*)$`)

// parseList takes a block for a list if its lines are terms and texts in two columns, or go on with a text.
func parseList(block []string) (list []item, ok bool) {
	column := -1
	for _, line := range block {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if indent == column && !strings.Contains(line[indent:], "  ") {
			list[len(list)-1].text = append(list[len(list)-1].text, line[indent:])
			continue
		}
		m := listLine.FindStringSubmatch(line)
		if m == nil {
			return nil, false
		}
		at := len(m[1]) + len(m[2]) + len(m[3])
		if column >= 0 && at != column {
			return nil, false
		}
		column = at
		list = append(list, item{m[2], []string{m[4]}})
	}
	return list, list != nil
}

func (p *page) list(list []item) {
	width := 0
	for _, it := range list {
		width = max(width, len(it.term))
	}
	width = min(width+2, 24)
	for _, it := range list {
		p.line(".TP %d", width)
		p.line("%s", term(it.term))
		p.line("%s", prose(it.text...))
	}
}

// example sets lines as they are, but for the indentation that all of them have.
func (p *page) example(lines []string) {
	common := -1
	for _, line := range lines {
		if rest := strings.TrimLeft(line, " "); rest != "" && (common < 0 || len(line)-len(rest) < common) {
			common = len(line) - len(rest)
		}
	}
	p.paragraph()
	p.line(".nf")
	p.line(".RS 4")
	for _, line := range lines {
		p.line("%s", guard(literal(line[min(max(common, 0), len(line)):])))
	}
	p.line(".RE")
	p.line(".fi")
}

// literal is for what people type: each character is itself, and not its like in print.
var literal = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `'`, `\(aq`, `"`, `\(dq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`,
).Replace

// guard keeps a line from being taken for a macro.
func guard(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}

var flagWord = regexp.MustCompile(`^([("]*)(--?[A-Za-z][A-Za-z-]*)(.*)$`)

// prose fills a paragraph. Its flags are in bold; a hyphen is one only between letters.
func prose(lines ...string) string {
	var text strings.Builder
	column, ended := 0, false
	for _, w := range strings.Fields(strings.Join(lines, " ")) {
		ends := sentenceEnd.MatchString(w)
		if m := flagWord.FindStringSubmatch(w); m != nil {
			w = literal(m[1]) + `\fB` + literal(m[2]) + `\fR` + literal(m[3])
		} else if strings.ContainsAny(w, `/:=|*<>~^'"\`+"`") || strings.HasPrefix(w, "-") {
			w = literal(w)
		}
		switch {
		case column == 0:
			w = guard(w)
		case column+1+len(w) > inputWidth || ended:
			text.WriteByte('\n')
			w, column = guard(w), 0
		default:
			text.WriteByte(' ')
			column++
		}
		text.WriteString(w)
		column, ended = column+len(w), ends
	}
	return text.String()
}

// sentenceEnd is what a new line of the source comes after: troff knows the ends of sentences by those of lines.
var sentenceEnd = regexp.MustCompile(`[a-zA-Z0-9)][.!?]$`)

// inputWidth is what those who read a page's source expect its lines to keep to, as mandoc -Tlint says.
const inputWidth = 80

var placeholder = regexp.MustCompile(`[A-Z][A-Z]+`)

// term is bold, and what stands for something else in it italic.
func term(s string) string {
	return guard(`\fB` + placeholder.ReplaceAllString(literal(s), `\fI${0}\fB`) + `\fR`)
}

var synopsisPart = regexp.MustCompile(`--?[A-Za-z][A-Za-z-]*|[A-Z][A-Z]+|[a-z]+|[^A-Za-z-]+|-`)

// synopsis has what is typed in bold, and what stands for something else in italics.
func synopsis(s string) string {
	return synopsisPart.ReplaceAllStringFunc(s, func(part string) string {
		switch {
		case part == "flags":
			return `\fIflags\fR`
		case placeholder.MatchString(part) && !strings.HasPrefix(part, "-"):
			return `\fI` + part + `\fR`
		case len(part) > 1 && part[0] == '-' || 'a' <= part[0] && part[0] <= 'z':
			return `\fB` + literal(part) + `\fR`
		default:
			return literal(part)
		}
	})
}
