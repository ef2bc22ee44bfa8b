package penstock

import (
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

// Capabilities is what this kernel, and the sandbox around this process, allow. None of it changes what a call of this
// package means: a verb that is refused is done by other means. It says why bytes go the way they go.
//
// Sizes are bytes where the name does not say pages. A limit of 0 is none, as in the kernel's own files; -1 is one that
// could not be read.
type Capabilities struct {
	OS     string `json:"os"`     // runtime.GOOS
	Arch   string `json:"arch"`   // runtime.GOARCH
	Kernel string `json:"kernel"` // its release, as of uname -r; empty if unknown

	// The system calls that move bytes without passing them through this process.
	Splice        Verb `json:"splice"`
	Tee           Verb `json:"tee"`
	Vmsplice      Verb `json:"vmsplice"`
	Sendfile      Verb `json:"sendfile"`
	CopyFileRange Verb `json:"copy_file_range"`

	Pipes Pipes `json:"pipes"`

	PageSize int   `json:"page_size"`
	Files    int64 `json:"open_files"` // RLIMIT_NOFILE, the soft one, which Go raises to the hard one at start
	Proc     bool  `json:"proc"`       // whether the limits in /proc could be read
}

// Pipes is what this user's kernel pipes may hold, see pipe(7). Elsewhere than on Linux it is zero.
type Pipes struct {
	MaxSize int `json:"max_size"`        // /proc/sys/fs/pipe-max-size: what an unprivileged user's pipe may grow to
	Soft    int `json:"user_pages_soft"` // with so many in all, a new pipe gets 2 slots, and none may grow
	Hard    int `json:"user_pages_hard"` // with so many in all, there is no new pipe

	Default int `json:"default_size"` // what a new pipe has just got; 0 if there was none to be had
	Largest int `json:"largest_size"` // what it was granted when asked for MaxSize

	// OverSoft says that the new pipe got 2 slots only, because this user, privileged ones excepted, is over the soft
	// limit: everything works, but in small steps.
	OverSoft bool `json:"over_soft_limit"`

	// Err says why there was no pipe: EMFILE, ENFILE (of the system's table, or of the hard limit), ENOMEM.
	Err error `json:"-"`
}

// MarshalJSON adds Err by its name.
func (p Pipes) MarshalJSON() ([]byte, error) {
	type plain Pipes
	return json.Marshal(struct {
		plain
		failure
	}{plain(p), failureOf(p.Err)})
}

// VerbState is what came of trying a verb.
type VerbState uint8

const (
	// VerbUntried is no answer: it could not be tried, for want of descriptors, memory or a pipe. It is tried again the
	// next time that somebody asks.
	VerbUntried VerbState = iota
	VerbWorks             // it moved a byte, and the right one
	VerbRefused           // the kernel has none, or a sandbox says no
)

func (s VerbState) String() string {
	switch s {
	case VerbWorks:
		return "works"
	case VerbRefused:
		return "refused"
	default:
		return "untried"
	}
}

// MarshalText is String.
func (s VerbState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Verb is what this kernel and this sandbox say to one system call.
type Verb struct {
	State VerbState `json:"state"`

	// Err is the cause of anything but VerbWorks, for errors.Is: of VerbRefused most often ENOSYS, of a kernel that has
	// no such call, or EPERM, of a sandbox; of VerbUntried what was missing, EMFILE for example. Elsewhere than on
	// Linux all is refused with errors.ErrUnsupported.
	Err error `json:"-"`
}

// MarshalJSON adds Err by its name.
func (v Verb) MarshalJSON() ([]byte, error) {
	type plain Verb
	return json.Marshal(struct {
		plain
		failure
	}{plain(v), failureOf(v.Err)})
}

// failure is an error for programs, "EPERM", and for people.
type failure struct {
	Errno   string `json:"errno,omitempty"`
	Message string `json:"message,omitempty"`
}

func failureOf(err error) failure {
	if err == nil {
		return failure{}
	}
	return failure{errnoName(err), err.Error()}
}

// Probe says what this kernel and this sandbox allow. It tries each verb once, on pipes of a byte and files in memory;
// what a verb has answered is remembered for the life of the process, and a filter that is installed later goes
// unnoticed. Limits and sizes, which come and go, are looked up each time.
//
// It takes well under a millisecond, does not wait for anything, leaves no descriptor open, and needs neither
// privileges nor /proc. It cannot fail: what it could not find out says so. For the moment that it takes it has up to
// five descriptors, and a pipe of pipe-max-size on this user's account. Beware of a sandbox that kills for a system
// call: to ask for all is to make all of them.
func Probe() Capabilities {
	ask := func(v kernelVerb) Verb { return trials[v].verdict(v) }
	c := Capabilities{
		OS: runtime.GOOS, Arch: runtime.GOARCH,
		Splice: ask(verbSplice), Tee: ask(verbTee), Vmsplice: ask(verbVmsplice),
		Sendfile: ask(verbSendfile), CopyFileRange: ask(verbCopyFileRange),
		PageSize: os.Getpagesize(),
	}
	c.lookUp()
	return c
}

// kernelVerb is an index into trials.
type kernelVerb uint8

const (
	verbSplice kernelVerb = iota
	verbTee
	verbVmsplice
	verbSendfile
	verbCopyFileRange
	verbCount
)

// String is the name of the system call.
func (v kernelVerb) String() string {
	return [verbCount]string{"splice", "tee", "vmsplice", "sendfile", "copy_file_range"}[v]
}

// verbRefused returns why a verb is refused, or nil if it works, or could not be tried: then using it will tell. It
// tries that verb and no other, at the first call; later calls cost a load.
func verbRefused(v kernelVerb) error {
	if verdict := trials[v].verdict(v); verdict.State == VerbRefused {
		return &refusedError{v, verdict.Err}
	}
	return nil
}

// refusedError is one line of a report.
type refusedError struct {
	verb kernelVerb
	err  error
}

func (e *refusedError) Error() string {
	if name := errnoName(e.err); name != "" {
		return e.verb.String() + " is refused (" + name + ")"
	}
	return e.verb.String() + " is refused: " + e.err.Error()
}

func (e *refusedError) Unwrap() error { return e.err }

// Is makes it errors.ErrUnsupported, too: it is as if the system had no such call.
func (e *refusedError) Is(target error) bool { return target == errors.ErrUnsupported }

// trial remembers what a verb has answered; not that it could not be asked.
type trial struct {
	settled atomic.Pointer[Verb]
	mu      sync.Mutex // one tries, the others wait for what comes of it
}

var trials [verbCount]trial

func (t *trial) verdict(v kernelVerb) Verb {
	if known := t.settled.Load(); known != nil {
		return *known
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.settled.Load(); known != nil {
		return *known
	}
	verdict := tryVerb(v)
	if verdict.State != VerbUntried {
		t.settled.Store(&verdict)
	}
	return verdict
}
