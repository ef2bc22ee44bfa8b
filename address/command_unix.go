//go:build unix

package address

import (
	"os/exec"
	"syscall"
)

// apart starts the command in a process group of its own.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signal reaches all of the command's group. Where there is nobody left, that is what was wanted.
func (k *commandEnding) signal(s syscall.Signal) {
	if k.group {
		_ = syscall.Kill(-k.cmd.Process.Pid, s)
	} else {
		_ = k.cmd.Process.Signal(s)
	}
}
