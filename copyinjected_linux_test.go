package penstock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
)

// childOf says to this test binary, run by itself, which part of a test it is to play.
const childOf = "PENSTOCK_CHILD"

// isChild skips a test that is a part of another, unless that has begun it.
func isChild(t *testing.T) {
	t.Helper()
	if os.Getenv(childOf) != t.Name() {
		t.Skip("a part of another test")
	}
}

// childArgs are the arguments that make this test binary play that part.
func childArgs(name string) []string {
	return []string{os.Args[0], "-test.run", "^" + name + "$", "-test.timeout", "60s", "-test.v"}
}

func childEnv(t *testing.T, name string) []string {
	return append(os.Environ(), childOf+"="+name, "GORACE=atexit_sleep_ms=0", "TMPDIR="+t.TempDir()) // a child may end without removing its own
}

// injection makes one system call of a child fail, again and again.
type injection struct {
	call, errno string
	when        string // from which call on, and every how many
	path        bool   // only where it is about the child's files
	pairs       string // which pairs of ends are tried
	side        string // that is blamed, if it is always the same
	borne       bool   // nobody is told
}

const noCopies = "splice,tee,sendfile,copy_file_range"

var injections = []injection{
	{"splice", "EIO", "2+5", false, "TCP to TCP,TCP to file,FIFO to TCP,Unix to FIFO,TCP to three", "", false},
	{"sendfile", "EIO", "2+3", false, "file to TCP", "", false},
	{"copy_file_range", "EIO", "1+2", false, "file to file", "", false},
	{"write", "EIO", "2+4", true, "file to file,TCP to file", "sink", false},
	{"read", "EIO", "3+4", true, "file to file,file to TCP", "source", false},
	{"tee", "ENOMEM", "2+3", false, "TCP to three", "", true},
	{noCopies, "ENOSYS", "1+", false, "TCP to TCP,file to TCP,file to file,TCP to three", "", true},
	{noCopies, "EPERM", "1+", false, "TCP to TCP,file to TCP,file to file,FIFO to TCP", "", true},
	{noCopies, "EINTR", "1+2", false, "TCP to TCP,file to TCP,file to file,TCP to three", "", true},
}

// TestWhatTheKernelFailsIsResumedWithoutLoss lets strace(1) fail the system calls of a child, which resumes each time.
func TestWhatTheKernelFailsIsResumedWithoutLoss(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace")
	}
	if err := exec.Command(strace, "-o", os.DevNull, "true").Run(); err != nil {
		t.Skip("strace is not allowed here: ", err)
	}
	for _, in := range injections {
		t.Run(in.call+" "+in.errno, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := []string{"-f", "-qq", "--seccomp-bpf", "-o", os.DevNull, "-e", "trace=" + in.call}
			args = append(args, "-e", "inject="+in.call+":error="+in.errno+":when="+in.when)
			if in.path {
				args = append(args, "-P", filepath.Join(dir, "in"), "-P", filepath.Join(dir, "out"))
			}
			cmd := exec.Command(strace, append(args, childArgs("TestInjectedChild")...)...)
			cmd.Env = append(childEnv(t, "TestInjectedChild"), "PENSTOCK_DIR="+dir, "PENSTOCK_PAIRS="+in.pairs,
				fmt.Sprintf("PENSTOCK_BORNE=%v", in.borne), "PENSTOCK_PLAIN="+fmt.Sprint(in.path), "PENSTOCK_SIDE="+in.side)
			out, err := cmd.CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("--- PASS: TestInjectedChild")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestInjectedChild copies between ends of several kinds, and resumes whenever that fails, until the sink has all.
func TestInjectedChild(t *testing.T) {
	isChild(t)
	dir, borne := os.Getenv("PENSTOCK_DIR"), os.Getenv("PENSTOCK_BORNE") == "true"
	data := bytes.Repeat(pattern(64<<10), 16)
	file := func(name string, flags int) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	if err := os.WriteFile(filepath.Join(dir, "source"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "source"), filepath.Join(dir, "in")); err != nil {
		t.Fatal(err)
	}
	sources := map[string]func() io.Reader{
		"TCP":  func() io.Reader { return tcpSource(t, data) },
		"Unix": func() io.Reader { return origins()[1].open(t, data) },
		"FIFO": func() io.Reader { return origins()[4].open(t, data) },
		"file": func() io.Reader { return file("in", os.O_RDONLY) },
	}
	sinks := map[string]func() (io.Writer, func() []byte){
		"TCP":   func() (io.Writer, func() []byte) { return drained(t, "tcp") },
		"three": func() (io.Writer, func() []byte) { return drained(t, "tcp") },
		"FIFO":  func() (io.Writer, func() []byte) { return termini()[4].open(t) },
		"file": func() (io.Writer, func() []byte) {
			f := file("out", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
			return f, func() []byte {
				b, err := os.ReadFile(f.Name())
				for errors.Is(err, syscall.EIO) { // it, too, is failed
					b, err = os.ReadFile(f.Name())
				}
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
		},
	}
	var opts []penstock.Option
	if os.Getenv("PENSTOCK_PLAIN") == "true" {
		opts = append(opts, penstock.WithoutSplice())
	}
	runtime.LockOSThread() // strace counts the calls of each thread by itself
	defer runtime.UnlockOSThread()
	times := 0
	for _, pair := range strings.Split(os.Getenv("PENSTOCK_PAIRS"), ",") {
		from, to, _ := strings.Cut(pair, " to ")
		src := sources[from]()
		var o outputs
		o.add(sinks[to]())
		if to == "three" {
			o.add(sinks["TCP"]())
			o.add(termini()[4].open(t))
			rep, err := o.transfer(src, opts...).Run(background)
			if err == nil {
				accountedEach(t, data, rep, o, nil)
				continue
			}
			times++
			if side, _ := penstock.SideOf(err); side == penstock.SideSink {
				accountedEach(t, data, rep, o, byOutput(t, err))
			}
			io.Copy(io.Discard, src)
			continue
		}
		var err error
		for round := 0; round == 0 || err != nil; round++ {
			var rep penstock.Report
			rep, err = penstock.Resume(background, o.ws[0], src, err, opts...)
			if err != nil {
				times++
				op := failedAt(t, err, sideOf(err), offsetOf(err), syscall.EIO)
				if side := os.Getenv("PENSTOCK_SIDE"); side != "" && op.Side.String() != side {
					t.Errorf("%s: the %v is blamed, and not the %s", pair, op.Side, side)
				}
				if round == 0 {
					accounted(t, data, rep, op)
				}
				if round > 1000 || t.Failed() {
					t.Fatalf("%s: %v", pair, err)
				}
			}
		}
		if b := o.got[0](); !bytes.Equal(b, data) {
			t.Errorf("%s: the sink got %d bytes of %d, or others, in spite of %d errors", pair, len(b), len(data), times)
		}
	}
	if borne == (times > 0) {
		t.Errorf("%d errors were told", times)
	}
}

func sideOf(err error) penstock.Side {
	side, _ := penstock.SideOf(err)
	return side
}

func offsetOf(err error) int64 {
	var op *penstock.OpError
	errors.As(err, &op)
	return op.Offset
}
