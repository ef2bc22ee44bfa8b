package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// roleVariable in the environment makes a process play a role instead of the benchmark.
const roleVariable = "FANOUT_ROLE"

// roleProcess is a re-execution of this binary in a role.
type roleProcess struct {
	command *exec.Cmd
	in      *json.Encoder
	out     *json.Decoder
	stdin   io.Closer
}

// startRole starts a process in a role. With pin the relay has the first CPU to itself and the other roles share the
// rest.
func startRole(role string, pin bool) (*roleProcess, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(binary)
	c.Env = append(os.Environ(), roleVariable+"="+role)
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(c, cpusOf(role, pin)); err != nil {
		return nil, err
	}
	return &roleProcess{c, json.NewEncoder(stdin), json.NewDecoder(stdout), stdin}, nil
}

// ask sends a question and waits for the answer.
func (p *roleProcess) ask(question, answer any) error {
	if err := p.in.Encode(question); err != nil {
		return err
	}
	return p.out.Decode(answer)
}

// stop ends the process, which has said all it had to say or has failed, and returns the CPU time that it used.
func (p *roleProcess) stop() time.Duration {
	p.stdin.Close()
	p.command.Process.Kill() // an error means that it has ended by itself
	p.command.Wait()         // an error is its exit status: it has told what is wrong on standard error
	return p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
}

// cpusOf is the set of CPUs for a role.
func cpusOf(role string, pin bool) *unix.CPUSet {
	set := new(unix.CPUSet)
	for cpu := range runtime.NumCPU() {
		if !pin || (role == "relay") == (cpu == 0) {
			set.Set(cpu)
		}
	}
	return set
}

// startOn starts a process that runs on the given CPUs only, as it inherits them from the thread that starts it.
func startOn(c *exec.Cmd, cpus *unix.CPUSet) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, cpus); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	return c.Start()
}
