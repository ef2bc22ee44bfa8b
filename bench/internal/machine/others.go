package machine

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Other processes on the machine, and other guests on its host, disturb a run; what they took is known afterwards,
// whatever the run's own figures are. So a disturbed run may be thrown away without favouring any kind.

// userTick is the unit of /proc/stat, USER_HZ, which is 100 on every Linux that Go runs on.
const userTick = 10 * time.Millisecond

// machineBusy is the CPU time that the machine has spent on anything, time stolen by the host included.
func machineBusy() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat: unexpected first line %q", line)
	}
	var busy int64
	for i, f := range fields[1:9] { // user nice system idle iowait irq softirq steal
		if i == 3 || i == 4 {
			continue
		}
		ticks, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		busy += ticks
	}
	return time.Duration(busy) * userTick, nil
}

// Others measures the CPU time of others from WatchOthers until it is asked.
type Others struct {
	begin      time.Duration
	busy, self time.Duration
}

// WatchOthers begins the measurement.
func WatchOthers() (Others, error) {
	busy, err := machineBusy()
	return Others{Monotonic(), busy, ProcessCPU()}, err
}

// Share is how much of one CPU others took, ours being the CPU time of the run's processes.
func (o Others) Share(ours time.Duration) (float64, error) {
	busy, err := machineBusy()
	if err != nil {
		return 0, err
	}
	others := busy - o.busy - ours - (ProcessCPU() - o.self)
	return max(0, others.Seconds()/(Monotonic()-o.begin).Seconds()), nil
}
