//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
)

var signals = map[string]os.Signal{"INT": os.Interrupt, "KILL": os.Kill}

func openTerminal(_, _ uint16) (program, user *os.File, err error) {
	return nil, nil, errors.ErrUnsupported
}

func onTerminal(*exec.Cmd, *os.File) {}

func asNobody(*exec.Cmd, ...string) error { return errors.ErrUnsupported }

func direct() bool { return false }
