// Package role runs the parts of a measurement in processes of their own: re-executions of this binary, which say
// what they have to say in JSON. So the CPU time of one part is that of its process.
package role

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// variable in the environment makes a process play a role instead of the benchmark.
const variable = "PENSTOCK_BENCH_ROLE"

// Mine is the role that this process was started for; empty if for none.
func Mine() string { return os.Getenv(variable) }

// Exit ends this process, which plays a role or directs the others: with what went wrong on standard error, if anything
// did.
func Exit(name string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Process is a re-execution of this binary in a role.
type Process struct {
	command *exec.Cmd
	In      *json.Encoder // what the role reads from its standard input
	Out     *json.Decoder // what it writes to its standard output
	stdin   io.Closer
}

// Options change how a role is started.
type Options struct {
	CPUs  *unix.CPUSet // what it may run on; nil for all
	Files []*os.File   // descriptors 3 and on
}

// Start starts a process in a role.
func Start(name string, o Options) (*Process, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(binary)
	c.Env = append(os.Environ(), variable+"="+name)
	c.Stderr = os.Stderr
	c.ExtraFiles = o.Files
	stdin, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if o.CPUs != nil {
		err = StartOn(c, o.CPUs)
	} else {
		err = c.Start()
	}
	if err != nil {
		return nil, err
	}
	return &Process{c, json.NewEncoder(stdin), json.NewDecoder(stdout), stdin}, nil
}

// Ask sends a question and waits for the answer.
func (p *Process) Ask(question, answer any) error {
	if err := p.In.Encode(question); err != nil {
		return err
	}
	return p.Out.Decode(answer)
}

// PID is the number of the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Kill ends the process, so that whoever waits for its answer gets an error. From any goroutine.
func (p *Process) Kill() {
	p.command.Process.Kill() // an error means that it has ended by itself
}

// Stop ends the process, which has said all it had to say or has failed, and returns the CPU time that it used.
func (p *Process) Stop() time.Duration {
	p.stdin.Close()
	p.Kill()
	p.command.Wait() // an error is its exit status: it has told what is wrong on standard error
	return p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
}

// Apart is the set of CPUs for a role where one has the first CPU to itself and the others share the rest.
func Apart(alone bool) *unix.CPUSet {
	set := new(unix.CPUSet)
	for cpu := range runtime.NumCPU() {
		if alone == (cpu == 0) {
			set.Set(cpu)
		}
	}
	return set
}

// StartOn starts a process that runs on the given CPUs only, as it inherits them from the thread that starts it.
func StartOn(c *exec.Cmd, cpus *unix.CPUSet) error {
	return On(cpus, c.Start)
}

// On calls f on a thread that runs on the given CPUs only.
func On(cpus *unix.CPUSet, f func() error) error {
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
	return f()
}
