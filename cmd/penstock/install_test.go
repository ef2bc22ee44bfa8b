package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestWhatMakeInstalls installs into a folder of its own: the program, which runs, a page for each command, which
// tells of each of its flags, and completions that each shell takes.
func TestWhatMakeInstalls(t *testing.T) {
	dest := t.TempDir()
	runMake(t, dest, "install")
	share := filepath.Join(dest, "usr", "share")
	pages := filepath.Join(share, "man", "man1")
	shells := map[string]string{
		"bash": filepath.Join(share, "bash-completion", "completions", "penstock"),
		"zsh":  filepath.Join(share, "zsh", "site-functions", "_penstock"),
		"fish": filepath.Join(share, "fish", "vendor_completions.d", "penstock.fish"),
	}
	program := filepath.Join(dest, "usr", "bin", "penstock")

	want := append(slices.Collect(maps.Values(shells)), program)
	for _, c := range append(newRoot().Commands(), newRoot()) {
		if !c.IsAvailableCommand() && c.HasParent() {
			continue
		}
		page := filepath.Join(pages, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		want = append(want, page)
		mentionsFlags(t, page, c)
	}
	slices.Sort(want)
	if got := filesUnder(t, dest); !slices.Equal(got, want) {
		t.Errorf("there is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	if out, err := exec.Command(program, "probe").CombinedOutput(); err != nil || !strings.Contains(string(out), "VERB") {
		t.Errorf("%v\n%s", err, out)
	}
	for shell, file := range shells {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip("not installed: ", err)
			}
			if out, err := exec.Command(shell, "-n", file).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}

	runMake(t, dest, "uninstall")
	if left := filesUnder(t, dest); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, "\n"))
	}
}

// runMake runs a target that has to do with what is installed. It builds as the tests are built, not stripped, and
// outside the source tree.
func runMake(t *testing.T, dest, target string) {
	t.Helper()
	makeProgram, err := exec.LookPath("make")
	if err != nil {
		t.Skip("make is not installed: ", err)
	}
	cmd := exec.CommandContext(t.Context(), makeProgram, target,
		"DESTDIR="+dest, "PREFIX=/usr", "BIN="+t.TempDir(), "RELEASE_FLAGS=-buildvcs=false")
	cmd.Dir = filepath.Join("..", "..")
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != "MAKEFLAGS" && name != "MFLAGS" && name != "MAKELEVEL" {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, out)
	}
}

// mentionsFlags looks for each flag of a command in its page.
func mentionsFlags(t *testing.T, page string, c *cobra.Command) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Error(err)
		return
	}
	text := string(b)
	if !strings.Contains(text, ".SH EXIT STATUS\n") {
		t.Errorf("%s: no exit status", filepath.Base(page))
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		flag := `\fB\-\-` + strings.ReplaceAll(f.Name, "-", `\-`) + `\fR`
		if f.Shorthand != "" {
			flag = `\fB\-` + f.Shorthand + `\fR, ` + flag
		}
		if !f.Hidden && !strings.Contains(text, ".TP\n"+flag) {
			t.Errorf("%s: no %s", filepath.Base(page), flag)
		}
	})
}

// filesUnder returns the files below a folder, sorted.
func filesUnder(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}
