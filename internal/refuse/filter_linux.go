package refuse

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// numbers of the calls that can be refused.
var numbers = map[string]uint32{
	"copy_file_range": unix.SYS_COPY_FILE_RANGE,
	"memfd_create":    unix.SYS_MEMFD_CREATE,
	"sendfile":        unix.SYS_SENDFILE,
	"splice":          unix.SYS_SPLICE,
	"tee":             unix.SYS_TEE,
	"vmsplice":        unix.SYS_VMSPLICE,
}

// errArchitecture says that system calls of this architecture are not known here.
var errArchitecture = errors.New("no filter for " + runtime.GOARCH)

// The offsets in struct seccomp_data of what is looked at.
const (
	offsetNumber       = 0
	offsetArchitecture = 4
)

// program returns the filter: calls of another architecture, whose numbers mean others, are allowed.
func program(errno syscall.Errno, calls []string) ([]unix.SockFilter, error) {
	if architecture == 0 {
		return nil, errArchitecture
	}
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K,
		unix.BPF_RET | unix.BPF_K
	p := []unix.SockFilter{
		{Code: load, K: offsetArchitecture},
		{Code: equal, K: architecture, Jt: 1},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: offsetNumber},
	}
	for _, name := range calls {
		number, ok := numbers[name]
		if !ok {
			return nil, fmt.Errorf("%q cannot be refused", name)
		}
		p = append(p,
			unix.SockFilter{Code: equal, K: number, Jf: 1},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(errno)&unix.SECCOMP_RET_DATA})
	}
	return append(p, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW}), nil
}

// install puts every thread of this process, and every program that it becomes, under a filter for good.
func install(errno syscall.Errno, calls []string) error {
	filter, err := program(errno, calls)
	if err != nil {
		return err
	}
	// no_new_privs is a thread's, and the filter's condition; TSYNC gives both to all threads.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	switch {
	case e != 0:
		return fmt.Errorf("seccomp: %w", e)
	case thread != 0:
		return fmt.Errorf("seccomp: thread %d is under a filter of its own", thread)
	default:
		return nil
	}
}
