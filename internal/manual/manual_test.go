package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// program is a command with two below it, of which one is hidden.
func program() *cobra.Command {
	root := &cobra.Command{
		Use:         "mill",
		Short:       "Grind what is there",
		Annotations: map[string]string{ExitStatus: "  0  It is ground.\n  1  It is not."},
	}
	grind := &cobra.Command{
		Use:   "grind GRAIN [-o FLOUR]...",
		Short: "Grind GRAIN to flour",
		Long: `Grind GRAIN to flour. The stones' distance is --gap; see https://a.example/~mill.

How:
  fine    with little between the stones,
          and slowly
  coarse  --gap wide

.so lines begin with a dot:

  mill grind 'a\b' |
    sieve --mesh=0.5`,
		Example: "  mill grind rye\n  .hidden",
		Run:     func(*cobra.Command, []string) {},
	}
	flags := grind.Flags()
	flags.StringP("output", "o", "", "write to `FLOUR`")
	flags.Duration("for", 0, "how long")
	flags.Int("stones", 2, "how many")
	flags.Int("workers", 3, "how many at a time")
	flags.String("secret", "", "nobody is told")
	if flags.MarkHidden("secret") != nil || flags.SetAnnotation("workers", Default, []string{"one per core"}) != nil {
		panic("the flags are defined above")
	}
	root.AddCommand(grind, &cobra.Command{Use: "man", Short: "Hidden", Hidden: true, Run: grind.Run})
	return root
}

const grindPage = `.TH MILL\-GRIND 1 "2023-11-14" mill "User Commands"
.SH NAME
mill\-grind \-
grind GRAIN to flour
.SH SYNOPSIS
\fBmill grind\fR \fIGRAIN\fR [\fB\-o\fR \fIFLOUR\fR]... [\fIflags\fR]
.SH DESCRIPTION
Grind GRAIN to flour.
The stones\(aq distance is \fB\-\-gap\fR; see https://a.example/\(timill.
.PP
How:
.TP 8
\fBfine\fR
with little between the stones, and slowly
.TP 8
\fBcoarse\fR
\fB\-\-gap\fR wide
.PP
\&.so lines begin with a dot:
.PP
.nf
.RS 4
mill grind \(aqa\eb\(aq |
  sieve \-\-mesh=0.5
.RE
.fi
.SH OPTIONS
.TP
\fB\-\-for\fR \fIDURATION\fR
how long
.TP
\fB\-h\fR, \fB\-\-help\fR
help for grind
.TP
\fB\-o\fR, \fB\-\-output\fR \fIFLOUR\fR
write to FLOUR
.TP
\fB\-\-stones\fR \fIINT\fR
how many
(default 2)
.TP
\fB\-\-workers\fR \fIINT\fR
how many at a time
(default one per core)
.SH EXIT STATUS
.TP 3
\fB0\fR
It is ground.
.TP 3
\fB1\fR
It is not.
.SH EXAMPLES
.nf
.RS 4
mill grind rye
\&.hidden
.RE
.fi
.SH SEE ALSO
\fBmill\fR(1)
`

// TestAPageSaysWhatHelpSays, in the macros of man(7), the same each time.
func TestAPageSaysWhatHelpSays(t *testing.T) {
	date := time.Unix(1700000000, 0)
	for range 2 {
		dir := filepath.Join(t.TempDir(), "new")
		if err := WriteTree(dir, program(), date); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, filepath.Join(dir, "mill-grind.1")); got != grindPage {
			t.Errorf("got\n%s\nwant\n%s", got, grindPage)
		}
		root := readFile(t, filepath.Join(dir, "mill.1"))
		for _, want := range []string{
			".SH SYNOPSIS\n\\fBmill\\fR \\fICOMMAND\\fR [\\fIflags\\fR]\n",
			".SH COMMANDS\n.TP\n\\fBmill\\-grind\\fR(1)\nGrind GRAIN to flour.\n",
		} {
			if !strings.Contains(root, want) {
				t.Errorf("no %q in\n%s", want, root)
			}
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) != 2 {
			t.Errorf("%v, %v", all, err)
		}
	}
}

// TestAPageWithoutADateHasNone rather than today's.
func TestAPageWithoutADateHasNone(t *testing.T) {
	var page strings.Builder
	if err := Write(&page, program(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if want := ".TH MILL 1 \"\" mill \"User Commands\"\n"; !strings.HasPrefix(page.String(), want) {
		t.Errorf("want %q before\n%s", want, &page)
	}
}

// TestTypesettersTakeThePages without a word of complaint.
func TestTypesettersTakeThePages(t *testing.T) {
	dir := t.TempDir()
	if err := WriteTree(dir, program(), time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "mill-grind.1")
	for _, lint := range [][]string{{"groff", "-ww", "-z", "-man", "-Tutf8"}, {"mandoc", "-Tlint", "-Wstyle"}} {
		t.Run(lint[0], func(t *testing.T) {
			if _, err := exec.LookPath(lint[0]); err != nil {
				t.Skip("not installed: ", err)
			}
			out, err := exec.Command(lint[0], append(lint[1:], page)...).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
