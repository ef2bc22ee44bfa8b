package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is a process and those that it has started, by the number of the first: a program that serves with workers, or
// forks for each connection, is all of them.
type Tree int

// processes returns the numbers of those that there are now.
func (t Tree) processes() (all []int, err error) {
	all = []int{int(t)}
	for i := 0; i < len(all); i++ {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", all[i]))
		if i > 0 && gone(err) {
			continue // it has ended since its parent was looked at
		} else if err != nil {
			return nil, err
		}
		for _, thread := range threads {
			children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", all[i], thread.Name()))
			if gone(err) {
				continue
			} else if err != nil {
				return nil, err
			}
			for _, f := range bytes.Fields(children) {
				pid, err := strconv.Atoi(string(f))
				if err != nil {
					return nil, err
				}
				all = append(all, pid)
			}
		}
	}
	return all, nil
}

// gone tells the error of a process, or a thread, that is no more.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// each calls f for all processes of the tree; one that ends meanwhile is passed over, unless it is the first.
func (t Tree) each(f func(pid int) error) error {
	all, err := t.processes()
	if err != nil {
		return err
	}
	for _, pid := range all {
		if err := f(pid); err != nil && (pid == int(t) || !gone(err)) {
			return err
		}
	}
	return nil
}

// CPU is the user and system time of all, and of those that the first has waited for. Processes that are there count to the
// nanosecond, those that have ended in steps of 10 ms.
func (t Tree) CPU() (sum time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", int(t)))
	if err != nil {
		return 0, err
	}
	const user, system = 13, 14 // cutime and cstime
	if sum, err = timesOf(stat, user, system); err != nil {
		return 0, err
	}
	err = t.each(func(pid int) error {
		// The CPU clock of another process: see clock_getcpuclockid(3) and CPUCLOCK_SCHED of the kernel's posix-timers.h.
		const sched = 2
		var ts unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err == unix.EINVAL {
			return unix.ESRCH // there is no such process
		} else if err != nil {
			return os.NewSyscallError("clock_gettime", err)
		}
		sum += time.Duration(ts.Nano())
		return nil
	})
	return sum, err
}

// Memory is what all hold in bytes, each page that several have shared out among them: Pss.
func (t Tree) Memory() (sum int, err error) {
	err = t.each(func(pid int) error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return err
		}
		n, err := BytesOf("Pss", text)
		sum += n
		return err
	})
	return sum, err
}

// Descriptors is how many all have open.
func (t Tree) Descriptors() (sum int, err error) {
	err = t.each(func(pid int) error {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		sum += len(open)
		return err
	})
	return sum, err
}
