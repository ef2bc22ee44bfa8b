package penstock

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// child is this test binary, to be run once more for one test: for what would harm the other tests, or needs a process.
type child struct {
	*exec.Cmd
	said bytes.Buffer
}

// inChild runs the calling test once more, in a process of its own, and tells whether this is that process.
func inChild(t *testing.T, prepare func(c *child)) bool {
	t.Helper()
	if os.Getenv("PENSTOCK_CHILD") == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	defer cancel()
	c := &child{Cmd: exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.v")}
	c.Env = append(os.Environ(), "PENSTOCK_CHILD="+t.Name(), "GORACE=atexit_sleep_ms=0")
	c.Stdout, c.Stderr = &c.said, &c.said
	if prepare != nil {
		prepare(c)
	}
	err = c.Run()
	switch said := c.said.String(); {
	case err != nil:
		t.Errorf("%v\n%s", err, said)
	case strings.Contains(said, "--- SKIP"):
		t.Skip(said)
	case c.Stdout == &c.said && !strings.Contains(said, "--- PASS: "+t.Name()):
		t.Errorf("the test was not found:\n%s", said)
	}
	return false
}

// forEverybody makes the child run from a folder that everybody may read.
func (c *child) forEverybody(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "penstock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile(c.Path)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	c.Path, c.Dir = filepath.Join(dir, "test"), "/"
	if err == nil {
		err = os.WriteFile(c.Path, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
