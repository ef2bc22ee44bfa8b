// Package machine tells what figures are measured on and what disturbs them, and holds the clocks that all processes
// of a run share.
package machine

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Describe tells what the figures were measured on: CPUs, kernel, Go. It names no host.
func Describe() (string, error) {
	model, err := processorModel()
	if err != nil {
		return "", err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", os.NewSyscallError("uname", err)
	}
	// What follows the version is the name somebody gave a build.
	kernel, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	return fmt.Sprintf("%d × %s, Linux %s, %s %s", runtime.NumCPU(), model, kernel, runtime.Version(), runtime.GOARCH), nil
}

// processorModel is the model name in /proc/cpuinfo, which not every architecture has.
func processorModel() (string, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(info) {
		name, value, _ := strings.Cut(string(line), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value), nil
		}
	}
	return "CPU", nil
}
