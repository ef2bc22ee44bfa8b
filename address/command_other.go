//go:build !unix

package address

import (
	"os/exec"
	"syscall"
)

// apart has nothing to do: there is no Ctrl-C for groups here that a parent could keep off.
func apart(*exec.Cmd) {}

// signal ends it: there is no other signal.
func (k *commandEnding) signal(syscall.Signal) { _ = k.cmd.Process.Kill() }
