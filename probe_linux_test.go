package penstock

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/internal/refuse"
)

// forgetful makes every verb be tried anew, now and by whoever comes after.
func forgetful(t testing.TB) {
	forget := func() {
		for i := range trials {
			trials[i].settled.Store(nil)
		}
	}
	forget()
	t.Cleanup(forget)
}

func (c Capabilities) verbs() [verbCount]Verb {
	return [verbCount]Verb{c.Splice, c.Tee, c.Vmsplice, c.Sendfile, c.CopyFileRange}
}

// TestEveryVerbWorksWhereNothingRefusesIt: under no filter, each does.
func TestEveryVerbWorksWhereNothingRefusesIt(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(status), "\nSeccomp:\t0\n") {
		t.Skip("there may be a filter")
	}
	forgetful(t)
	c := Probe()
	for i, v := range c.verbs() {
		if v.State != VerbWorks || v.Err != nil {
			t.Errorf("%v %v: %v", kernelVerb(i), v.State, v.Err)
		}
		if err := verbRefused(kernelVerb(i)); err != nil {
			t.Error(err)
		}
	}
}

// TestProbeSaysWhatIsRefused, and that the other verbs are not.
func TestProbeSaysWhatIsRefused(t *testing.T) {
	for i := range verbCount {
		for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS} {
			t.Run(i.String()+"_"+unix.ErrnoName(errno), func(t *testing.T) {
				t.Parallel() // it is another process that does something
				want := Probe().verbs()
				want[i] = Verb{VerbRefused, errno}
				if !refuse.Reexec(t, errno, i.String()) {
					return
				}
				forgetful(t)
				if got := Probe().verbs(); got != want {
					t.Errorf("%v, want %v", got, want)
				}
				err := verbRefused(i)
				if !errors.Is(err, errno) || err.Error() != i.String()+" is refused ("+unix.ErrnoName(errno)+")" {
					t.Errorf("for a report: %v", err)
				}
			})
		}
	}
}

// TestOnlyTheVerbInQuestionIsTried: another may be what a sandbox kills for.
func TestOnlyTheVerbInQuestionIsTried(t *testing.T) {
	forgetful(t)
	_ = verbRefused(verbTee)
	for i := range trials {
		if known := trials[i].settled.Load() != nil; known != (kernelVerb(i) == verbTee) {
			t.Errorf("%v has been tried: %v", kernelVerb(i), known)
		}
	}
}

// TestProbeWithoutDescriptorsIsNoRefusal, is not remembered, and leaves none open however far it comes.
func TestProbeWithoutDescriptorsIsNoRefusal(t *testing.T) {
	if !refuse.Reexec(t, syscall.EPERM) { // for a process of its own: nothing is refused
		return
	}
	healthy := Probe()
	limitFiles(t, 40)
	for free := range 6 {
		forgetful(t)
		held := dupAll()
		closeAll(held[len(held)-free:])
		c := Probe()
		again := dupAll()
		closeAll(again)
		closeAll(held[:len(held)-free])
		if len(again) != free {
			t.Errorf("of %d descriptors %d are left", free, len(again))
		}
		for i, v := range c.verbs() {
			short := errors.Is(v.Err, syscall.EMFILE)
			if !short && (v != healthy.verbs()[i] || free == 0) || short && v.State != VerbUntried {
				t.Errorf("%d free: %v %v: %v", free, kernelVerb(i), v.State, v.Err)
			}
		}
		if free == 0 && (!errors.Is(c.Pipes.Err, syscall.EMFILE) || c.Pipes.Default != 0 || c.Files != 40) {
			t.Errorf("%+v, %d files", c.Pipes, c.Files)
		}
		if now := Probe(); now.verbs() != healthy.verbs() {
			t.Errorf("with %d free, and then enough: %+v", free, now)
		}
	}
}

// limitFiles lets this process have so many descriptors, for good.
func limitFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	if err == nil {
		limit.Cur = n
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// dupAll takes all descriptors that there are.
func dupAll() (fds []int) {
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			return fds
		}
		fds = append(fds, fd)
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// TestProbeAsAnyUserBeyondItsBudget sees that new pipes are small, and no longer when the budget is back.
func TestProbeAsAnyUserBeyondItsBudget(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: it would be the budget of this user's other programs")
	}
	if !refuse.Reexec(t, syscall.EPERM) {
		return
	}
	privileged := Probe()
	forgetful(t)
	const nobodyElse = 64_321
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobodyElse), syscall.Setuid(nobodyElse)); err != nil {
		t.Skip(err)
	}
	c := Probe()
	for i, v := range c.verbs() {
		if v != privileged.verbs()[i] {
			t.Errorf("%v: %v", kernelVerb(i), v)
		}
	}
	if p := c.Pipes; p.Err != nil || p.OverSoft || p.Default != 64<<10 || p.Largest != p.MaxSize {
		t.Skipf("unusual from the beginning: %+v", p)
	}
	if c.Pipes.Soft == 0 {
		t.Skip("there is no soft limit")
	}
	var pipes []*KernelPipe
	defer func() {
		for _, p := range pipes {
			p.Close()
		}
	}()
	for size := c.Pipes.MaxSize; size != 2*c.PageSize; {
		p, err := NewKernelPipe(size)
		if err != nil {
			t.Skip(err)
		}
		pipes = append(pipes, p)
		size = p.Cap() // less and less, when there is not much left
	}
	if p := Probe().Pipes; !p.OverSoft || p.Default != 2*c.PageSize || p.Largest != p.Default {
		t.Errorf("beyond the soft limit: %+v", p)
	}
	pipes[0].Close()
	if p := Probe().Pipes; p.OverSoft || p.Default == 2*c.PageSize {
		t.Errorf("below it again: %+v", p)
	}
}

// TestProbeInAnEmptyRoot has no /proc, no /dev/null and no directory for temporary files.
func TestProbeInAnEmptyRoot(t *testing.T) {
	empty := t.TempDir()
	if !refuse.Reexec(t, syscall.EPERM) {
		return
	}
	here, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	healthy := Probe()
	forgetful(t)
	if err := syscall.Chroot(empty); err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := errors.Join(here.Chdir(), syscall.Chroot(".")); err != nil {
			t.Error(err)
		}
	}()
	c := Probe()
	if c.Proc || c.Pipes.MaxSize != -1 || c.Pipes.Soft != -1 || c.Pipes.Hard != -1 {
		t.Errorf("limits from nowhere: %+v", c)
	}
	c.Proc = healthy.Proc
	c.Pipes.MaxSize, c.Pipes.Soft, c.Pipes.Hard = healthy.Pipes.MaxSize, healthy.Pipes.Soft, healthy.Pipes.Hard
	if c != healthy {
		t.Errorf("%+v\nand with a /proc %+v", c, healthy)
	}
}

// TestProbeDoesWithoutFilesInMemory.
func TestProbeDoesWithoutFilesInMemory(t *testing.T) {
	healthy := Probe()
	if !refuse.Reexec(t, syscall.EPERM, "memfd_create") {
		return
	}
	forgetful(t)
	fd, err := unix.Open(os.TempDir(), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Skipf("no others either: %v", err)
	}
	unix.Close(fd)
	if c := Probe(); c.Sendfile != healthy.Sendfile || c.CopyFileRange.State == VerbUntried {
		t.Errorf("%+v, %+v", c.Sendfile, c.CopyFileRange)
	}
	t.Setenv("TMPDIR", "/nowhere")
	forgetful(t)
	if c := Probe(); c.Sendfile.State != VerbUntried || !errors.Is(c.Sendfile.Err, syscall.ENOENT) {
		t.Errorf("%+v", c.Sendfile)
	}
}

// TestProbeAsJSON is what "penstock probe --json" prints.
func TestProbeAsJSON(t *testing.T) {
	text, err := json.Marshal(Capabilities{
		OS: "linux", Arch: "amd64", Kernel: "6.18.0", PageSize: 4096, Files: 1024, Proc: true,
		Splice:   Verb{State: VerbWorks},
		Tee:      Verb{VerbRefused, syscall.EPERM},
		Vmsplice: Verb{VerbUntried, &unpreparedError{"pipe", syscall.EMFILE}},
		Pipes:    Pipes{MaxSize: 1 << 20, Soft: 16384, Default: 8192, Largest: 8192, OverSoft: true},
	})
	want := `{"os":"linux","arch":"amd64","kernel":"6.18.0","splice":{"state":"works"},` +
		`"tee":{"state":"refused","errno":"EPERM","message":"operation not permitted"},` +
		`"vmsplice":{"state":"untried","errno":"EMFILE","message":"pipe: too many open files"},` +
		`"sendfile":{"state":"untried"},"copy_file_range":{"state":"untried"},` +
		`"pipes":{"max_size":1048576,"user_pages_soft":16384,"user_pages_hard":0,"default_size":8192,` +
		`"largest_size":8192,"over_soft_limit":true},"page_size":4096,"open_files":1024,"proc":true}`
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, text, want)
	}
}

func BenchmarkProbe(b *testing.B) {
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			for i := range trials {
				trials[i].settled.Store(nil)
			}
			Probe()
		}
	})
	b.Run("later", func(b *testing.B) {
		for b.Loop() {
			Probe()
		}
	})
	b.Run("verb", func(b *testing.B) {
		for b.Loop() {
			_ = verbRefused(verbSplice)
		}
	})
}
