// Package program builds the programs that benchmarks run: as they are released, without cgo.
package program

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// module is the one that the benchmarks measure.
const module = "github.com/penstock-io/penstock"

// Flag declares the flag that names the program to be measured; empty, for Penstock to build it.
func Flag(f *flag.FlagSet) *string {
	return f.String("penstock", "", "the program to be measured; empty builds it from this tree")
}

// Penstock returns the absolute path of penstock: the given one, or if that is empty one that is built into dir from
// the tree that the benchmarks are in.
func Penstock(dir, given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", explained(err))
	}
	return build(filepath.Join(dir, "penstock"), "-C", strings.TrimSpace(string(where)), "./cmd/penstock")
}

// Build builds a command of the benchmarks' own, by its path from there, into dir, and returns where it is.
func Build(dir, command string) (string, error) {
	return build(filepath.Join(dir, path.Base(command)), "-C", ".", path.Join(module, "bench", command))
}

func build(out, flag, dir, what string) (string, error) {
	out, err := filepath.Abs(out)
	if err != nil {
		return "", err
	}
	c := exec.Command("go", "build", flag, dir, "-o", out, what)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := c.Output(); err != nil {
		return "", fmt.Errorf("go build %s: %w", what, explained(err))
	}
	return out, nil
}

// explained adds what a command said of its failure.
func explained(err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
