// Package manual writes the man pages of a cobra command and of those below it. They say what --help says, from the
// same texts, so that neither can go stale.
//
// A command's Long and Example are set as they stand: paragraphs are filled, and an indented block is a list if each of
// its lines is a term, two spaces or more, and what it means, and else an example, line by line. Cobra's own generator
// takes them for Markdown, which joins the lines of our tables, and would bring a Markdown parser into the binary.
//
// See man(7) for the macros, of groff and of mandoc alike.
package manual

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ExitStatus is the key of the annotation of a command that becomes its page's section EXIT STATUS, a text like Long. A
// command without one has its parent's.
const ExitStatus = "exit-status"

// Default is the key of the annotation of a flag whose default differs from machine to machine: it says in words what
// the default is.
const Default = "default"

// WriteTree writes the page of a command and one of each below it into a directory, which is made if there is none, as
// penstock-serve.1 and so on. Commands that are hidden or deprecated have none. The date is when what they tell of was
// made; the zero time leaves it out. The same commands and the same date give the same bytes.
func WriteTree(dir string, cmd *cobra.Command, date time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range pages(cmd) {
		var page strings.Builder
		if err := Write(&page, c, date); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name(c)+".1"), []byte(page.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pages returns the commands that have a page: this one, and those below.
func pages(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if hasPage(c) {
			all = append(all, pages(c)...)
		}
	}
	return all
}

// hasPage leaves out what is hidden, and what cobra adds to every program.
func hasPage(c *cobra.Command) bool {
	return c.IsAvailableCommand() && c.Name() != "completion" && c.Name() != "help"
}

// name is what man(1) is asked for.
func name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// Write writes one page.
func Write(w io.Writer, cmd *cobra.Command, date time.Time) error {
	cmd.InitDefaultHelpFlag()
	day := ""
	if !date.IsZero() {
		day = date.UTC().Format(time.DateOnly)
	}
	var p page
	p.line(`.TH %s 1 "%s" %s "User Commands"`, literal(strings.ToUpper(name(cmd))), day, literal(cmd.Root().Name()))
	p.section("NAME")
	p.line(`%s \-`, literal(name(cmd)))
	p.line("%s", prose(lowerFirst(cmd.Short)))
	p.section("SYNOPSIS")
	p.synopsis(cmd)
	p.section("DESCRIPTION")
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	p.text(long)
	p.commands(cmd)
	if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
		p.section("OPTIONS")
		p.flags(flags)
	}
	if flags := cmd.InheritedFlags(); flags.HasAvailableFlags() {
		p.section("OPTIONS OF EVERY COMMAND")
		p.flags(flags)
	}
	if text := exitStatus(cmd); text != "" {
		p.section("EXIT STATUS")
		p.text(text)
	}
	if cmd.Example != "" {
		p.section("EXAMPLES")
		p.example(strings.Split(strings.Trim(cmd.Example, "\n"), "\n"))
	}
	p.seeAlso(cmd)
	_, err := io.WriteString(w, p.String())
	return err
}

func exitStatus(cmd *cobra.Command) string {
	for ; cmd != nil; cmd = cmd.Parent() {
		if text := cmd.Annotations[ExitStatus]; text != "" {
			return text
		}
	}
	return ""
}

// page is one page in the making.
type page struct {
	strings.Builder
	begun bool // there is something in this section
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *page) section(title string) {
	p.line(".SH %s", title)
	p.begun = false
}

// paragraph begins one, unless the section has done so.
func (p *page) paragraph() {
	if p.begun {
		p.line(".PP")
	}
	p.begun = true
}

func (p *page) synopsis(cmd *cobra.Command) {
	use := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		use = cmd.CommandPath() + " COMMAND [flags]"
	}
	path := cmd.CommandPath()
	p.line(`\fB%s\fR %s`, literal(path), synopsis(strings.TrimSpace(strings.TrimPrefix(use, path))))
}

// commands lists those below.
func (p *page) commands(cmd *cobra.Command) {
	first := true
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		if first {
			p.section("COMMANDS")
			first = false
		}
		p.line(".TP")
		if hasPage(c) {
			p.line(`\fB%s\fR(1)`, literal(name(c)))
		} else {
			p.line(`\fB%s\fR`, literal(c.CommandPath()))
		}
		p.line("%s.", prose(c.Short))
	}
}

func (p *page) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		switch value {
		case "string", "int", "duration", "float", "uint", "strings": // pflag's own words for a type
			value = strings.ToUpper(value)
		}
		tag := ""
		if f.Shorthand != "" && f.ShorthandDeprecated == "" {
			tag = `\fB` + literal("-"+f.Shorthand) + `\fR, `
		}
		tag += `\fB` + literal("--"+f.Name) + `\fR`
		if value != "" && f.NoOptDefVal == "" {
			tag += ` \fI` + literal(value) + `\fR`
		} else if value != "" {
			tag += `[=\fI` + literal(value) + `\fR]`
		}
		p.line(".TP")
		p.line("%s", tag)
		p.line("%s", prose(usage))
		if holds := defaultOf(f); holds != "" {
			p.line(`(default %s)`, literal(holds))
		}
	})
}

// defaultOf tells what holds without a flag, if that is anything.
func defaultOf(f *pflag.Flag) string {
	if said := f.Annotations[Default]; len(said) > 0 {
		return said[0]
	}
	switch f.DefValue {
	case "", "0", "0s", "false", "[]", "<nil>":
		return ""
	}
	return f.DefValue
}

// seeAlso names the pages around this one.
func (p *page) seeAlso(cmd *cobra.Command) {
	var around []*cobra.Command
	if cmd.HasParent() {
		around = append(around, cmd.Parent())
		around = append(around, cmd.Parent().Commands()...)
	}
	around = append(around, cmd.Commands()...)
	var refs []string
	for _, c := range around {
		if c != cmd && (c == cmd.Parent() || hasPage(c)) {
			refs = append(refs, `\fB`+literal(name(c))+`\fR(1)`)
		}
	}
	if len(refs) > 0 {
		p.section("SEE ALSO")
		p.line("%s", strings.Join(refs, ",\n"))
	}
}

// lowerFirst is for what stands in the middle of a line. A word in capitals stays.
func lowerFirst(s string) string {
	if len(s) > 1 && strings.ToLower(s[1:2]) == s[1:2] {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
