package soak

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

const (
	viewers = 240 // at a time

	warmUp    = 20 * time.Second // after which everything is made that is made once
	settling  = 30 * time.Second // for what is closed to be gone
	mostPause = 10 * time.Second // between samples, of which there are
	samples   = 120              // at least

	soakFor  = "PENSTOCK_SOAK" // how long, as a duration
	soakSeed = "PENSTOCK_SEED" // of a run before
)

// TestAServerStaysAsItIs has a crowd at two servers for as long as PENSTOCK_SOAK says. What the process has of descriptors,
// goroutines, pages and memory must not grow, and when everybody has left the first three are what they were before.
func TestAServerStaysAsItIs(t *testing.T) {
	text := os.Getenv(soakFor)
	if text == "" {
		t.Skipf("takes minutes by its nature: %s=30m, say, runs it, as \"make soak\" does", soakFor)
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	if text := os.Getenv(soakSeed); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d", soakSeed, seed)

	recorded := live.Config{Ring: kernelRing, Memory: 64 << 20, Record: t.TempDir(), SegmentBytes: segmentBytes}
	kernel := open(t, recorded, "cam", "raw")
	memory := open(t, live.Config{Ring: memoryRing, NoSplice: true}, "mem")
	defer kernel.prune(t)()
	s := &soak{T: t, kernel: kernel, memory: memory, order: order{seed, viewers, kernel.door, memory.door}}

	warm := s.begin()
	time.Sleep(warmUp)
	warm.end()
	start := s.settled(sample{})

	out := t.Output()
	fmt.Fprint(out, heading, start.line("start"))
	c := s.begin()
	cpu := processorTime(t)
	taken := s.sample(long, out)
	server := processorTime(t) - cpu
	c.end()
	end := s.settled(start)

	fmt.Fprintf(out, "\n%s", table(start, end, taken))
	fmt.Fprintf(out, "\n%.2f processors: %.2f the servers, %.2f the crowd\n", c.share(server+c.took, long), c.share(server, long), c.share(c.took, long))
	fmt.Fprintf(out, "\nwhat the crowd has seen: %s", c.seen)
	fmt.Fprintf(out, "\nwhat the servers have said, the warm-up's included:\n%s\n%s", kernel.said, memory.said)
	for _, complaint := range grown(taken) {
		t.Error(complaint)
	}
	s.happened()
}

// soak is the test with its servers.
type soak struct {
	*testing.T
	kernel, memory *site
	order          order
}

// sample takes samples for a while and prints one a minute.
func (s *soak) sample(long time.Duration, out io.Writer) (all []sample) {
	every := min(long/samples, mostPause)
	tick := time.NewTicker(every)
	defer tick.Stop()
	printed := time.Duration(0)
	for began := time.Now(); time.Since(began) < long; {
		<-tick.C
		now := s.now()
		now.at = time.Since(began)
		all = append(all, now)
		if now.at >= printed+time.Minute-every/2 {
			printed = now.at
			fmt.Fprint(out, now.line(""))
		}
	}
	return all
}

func (s *soak) now() sample {
	now := measure(s.T)
	for _, site := range []*site{s.kernel, s.memory} {
		now.viewers += site.metric(s.T, "penstock_stream_viewers")
	}
	now.pipes = s.kernel.metric(s.T, "penstock_pipe_bytes") >> 10
	return now
}

// settled waits until nobody is there and nothing is left, or, at the end, not more than at the start; then it says what
// there is too much of.
func (s *soak) settled(start sample) (now sample) {
	s.Helper()
	clear := func(n sample) bool {
		gone := n.viewers == 0 && n.pages == 0 && n.pipes == 0
		return gone && (start == (sample{}) || n.descriptors == start.descriptors && n.goroutines == start.goroutines)
	}
	last := sample{}
	for deadline := time.Now().Add(settling); time.Now().Before(deadline); time.Sleep(time.Second) {
		debug.FreeOSMemory() // so that RSS is what is needed
		now = s.now()
		still := now.descriptors == last.descriptors && now.goroutines == last.goroutines
		if last = now; clear(now) && still {
			return now
		}
	}
	s.Errorf("when everybody has left:\n%s%s%s", heading, start.line("start"), now.line("end"))
	s.Logf("descriptors:\n%s", strings.Join(descriptors(s.T), "\n"))
	var stacks strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
		s.Error(err)
	}
	s.Logf("goroutines:\n%s", &stacks)
	return now
}

// happened fails the test unless what it is for has happened, and nothing else.
func (s *soak) happened() {
	for _, want := range []string{
		"stalled: took nothing for too long", "another publisher has taken the stream over", "the stream has ended",
		"the viewer closed its connection", "viewer skipped", "segment closed", "recording closed", "connection reset by peer",
	} {
		if s.kernel.said.count(want)+s.memory.said.count(want) == 0 {
			s.Errorf("the servers never said %q", want)
		}
	}
	for _, site := range []*site{s.kernel, s.memory} {
		for _, e := range site.said.errors {
			s.Errorf("the server's log: %s", e)
		}
	}
}

// running is a crowd.
type running struct {
	*soak
	cmd  *exec.Cmd
	in   io.Closer
	said chan string // all of its output
	seen report
	took time.Duration // of processors
}

// begin starts the crowd.
func (s *soak) begin() *running {
	s.Helper()
	self, err := os.Executable()
	if err != nil {
		s.Fatal(err)
	}
	text, err := json.Marshal(s.order)
	if err != nil {
		s.Fatal(err)
	}
	r := &running{soak: s, cmd: exec.Command(self, "-test.run=^TestTheCrowd$", "-test.timeout=0"), said: make(chan string, 1)}
	r.cmd.Env = append(os.Environ(), crowdOrder+"="+string(text))
	r.cmd.Stderr = os.Stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // however this process ends
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		s.Fatal(err)
	}
	said, err := r.cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	runtime.LockOSThread() // of whose death the crowd is told
	if err := r.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		b, err := io.ReadAll(bufio.NewReader(said))
		if err != nil {
			s.Error(err)
		}
		r.said <- string(b)
	}()
	return r
}

// end makes everybody leave, and takes the crowd's report.
func (r *running) end() {
	r.Helper()
	if err := r.in.Close(); err != nil {
		r.Error(err)
	}
	said := <-r.said
	if err := r.cmd.Wait(); err != nil {
		r.Errorf("the crowd: %v:\n%s", err, said)
	}
	runtime.UnlockOSThread()
	r.took = r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime()
	if first, _, ok := strings.Cut(said, "\n"); !ok || json.Unmarshal([]byte(first), &r.seen) != nil {
		r.Errorf("the crowd's report: %q", said)
	}
}

func (r *running) share(cpu, of time.Duration) float64 { return cpu.Seconds() / of.Seconds() }

func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d MiB, and %d KiB skipped\n", r.Bytes>>20, r.Skipped>>10)
	list := func(what string, counts map[string]int) {
		for _, key := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
		}) {
			fmt.Fprintf(&b, "%8d  %s %s\n", counts[key], what, key)
		}
	}
	list("publisher", r.Publishers)
	list("viewer", r.Viewers)
	return b.String()
}

// processorTime returns what this process has used of the processors, the system's part included.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
