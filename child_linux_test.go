package penstock

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// child is this test binary, to be run once more for one test: for what would harm the other tests, or needs a process.
type child struct {
	*exec.Cmd
	stderr bytes.Buffer
}

func newChild(t *testing.T) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	t.Cleanup(cancel)
	c := &child{Cmd: exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.v")}
	c.Env = append(os.Environ(), "PENSTOCK_CHILD="+t.Name())
	c.Stderr = &c.stderr
	return c
}

// run returns what the child has written to its standard error, and to its standard output if that is no pipe of the
// test's.
func (c *child) run() (string, error) {
	if c.Stdout == nil {
		c.Stdout = &c.stderr
	}
	err := c.Run()
	return c.stderr.String(), err
}
