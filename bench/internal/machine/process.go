package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Memory is what a process holds of it, in bytes.
type Memory struct {
	Resident  int // all that is mapped and there: VmRSS
	Anonymous int // of that, what is in no file: RssAnon
}

// MemoryOf reads what the process with that number holds.
func MemoryOf(pid int) (m Memory, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	resident, err := BytesOf("VmRSS", status)
	anonymous, aerr := BytesOf("RssAnon", status)
	return Memory{resident, anonymous}, errors.Join(err, aerr)
}

// Slab is what the kernel's own objects take, for everybody, in bytes.
func Slab() (int, error) {
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return BytesOf("Slab", meminfo)
}

// BytesOf reads a line of /proc that tells so many kB.
func BytesOf(name string, text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		var kib int
		if _, err := fmt.Sscanf(string(line), name+": %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc tells no %s", name)
}

// CPUOf is the user and system time that all threads of a process have used, those that have ended included, in steps
// of 10 ms.
func CPUOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return cpuOf(stat)
}

func cpuOf(stat []byte) (time.Duration, error) {
	const user, system = 11, 12
	return timesOf(stat, user, system)
}

// timesOf adds up fields of /proc/PID/stat that are times; they are counted from the one behind the name.
func timesOf(stat []byte, which ...int) (time.Duration, error) {
	// The second field is the command's name in parentheses, which may hold spaces and parentheses of its own.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, i := range which {
		if i >= len(fields) {
			return 0, fmt.Errorf("/proc/PID/stat: unexpected %q", stat)
		}
		t, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += t
	}
	return time.Duration(ticks) * userTick, nil
}
