package machine

import (
	"os"
	"testing"
	"time"
)

func TestALineOfProcIsFoundByItsName(t *testing.T) {
	const status = "Name:\tcopy\nVmHWM:\t    9999 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 5 kB\n"
	for name, want := range map[string]int{"VmRSS": 1234 << 10, "RssAnon": 5 << 10} {
		if n, err := BytesOf(name, []byte(status)); err != nil || n != want {
			t.Errorf("%s: %d, %v; want %d", name, n, err, want)
		}
	}
	if _, err := BytesOf("VmRSS", []byte("Name:\tcopy\n")); err == nil {
		t.Error("a status without the line: no error")
	}
}

func TestTheTimesOfAProcessAreFoundBehindAnyName(t *testing.T) {
	const rest = " S 1 2 3 0 -1 4194560 10 0 0 0 123 45 6 7 20 0 1 0 99 1000 10\n"
	for _, name := range []string{"(cat)", "(a b)", "(x) 1 2 (y)"} {
		got, err := cpuOf([]byte("17 " + name + rest))
		if want := 1680 * time.Millisecond; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	for _, short := range []string{"", "17 (cat) S 1", "17 (cat) S 1 2 3 0 -1 4194560 10 0 0 0 x 45 6"} {
		if _, err := cpuOf([]byte(short)); err == nil {
			t.Errorf("%q: no error", short)
		}
	}
}

func TestThisProcessIsToldOf(t *testing.T) {
	m, err := MemoryOf(os.Getpid())
	if err != nil || m.Resident == 0 || m.Anonymous == 0 || m.Anonymous > m.Resident {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := CPUOf(os.Getpid()); err != nil {
		t.Error(err)
	}
}
