package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// actEnv makes this test binary somebody else's process: "serve", "trap", which serves whoever comes, "sleep",
// or "ask PID".
const actEnv = "PENSTOCK_TEST_CONTROL"

func TestMain(m *testing.M) {
	if act := os.Getenv(actEnv); act != "" {
		if err := actOut(act); err != nil {
			fmt.Println(err)
		}
		return
	}
	os.Exit(m.Run())
}

func actOut(act string) error {
	switch verb, pid, _ := strings.Cut(act, " "); verb {
	case "ask":
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		if _, err = Send(context.Background(), n, Request{Report: true}); err == nil {
			fmt.Println("answered")
		}
		return err
	case "serve":
		s, err := Serve(context.Background(), func(Request) Response { return Response{} })
		if err != nil {
			return err
		}
		defer s.Close()
	case "trap":
		l, err := listen(os.Getpid())
		if err != nil {
			return err
		}
		all := func(*net.UnixConn) bool { return true }
		defer newServer(l, all, func(Request) Response { return Response{} }, patience).Close()
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin) // until the test has ended
	return err
}

// as starts a process of that user, and returns its first line and its id.
func as(t *testing.T, uid uint32, act string) (line string, pid int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{actEnv + "=" + act, "GORACE=atexit_sleep_ms=0"} // a second, else
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	if line, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("it says %q: %v", line, err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid
}

// TestUsersAskTheirOwnProcessesAndRootAll with the kernel's word for who is who.
func TestUsersAskTheirOwnProcessesAndRootAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be several users")
	}
	const one, other = 65534, 65533
	serve(t, func(Request) Response { return Response{} }) // root's
	_, theirs := as(t, one, "serve")
	_, trap := as(t, one, "trap")
	_, idle := as(t, one, "sleep")

	if _, err := Send(t.Context(), theirs, Request{Report: true}); err != nil {
		t.Errorf("root asks a user's: %v", err)
	}
	for _, c := range []struct {
		name string
		uid  uint32
		pid  int
		want string
	}{
		{"a user asks his own", one, theirs, "answered"},
		{"a user asks another's", other, theirs, fmt.Sprintf("process %d: %v", theirs, ErrForeign)},
		{"a user asks another's that takes whoever comes", other, trap, fmt.Sprintf("process %d: %v", trap, ErrForeign)},
		{"a user asks another's that is no copy", other, idle, fmt.Sprintf("process %d: %v", idle, ErrForeign)},
		{"a user asks his own that is no copy", one, idle, fmt.Sprintf("process %d: %v", idle, ErrNoCopy)},
		{"a user asks root's", one, os.Getpid(), fmt.Sprintf("process %d: %v", os.Getpid(), ErrForeign)},
	} {
		if line, _ := as(t, c.uid, "ask "+strconv.Itoa(c.pid)); line != c.want {
			t.Errorf("%s: %q and not %q", c.name, line, c.want)
		}
	}
}

// TestAServerTurnsStrangersAway who do not ask themselves whether they may.
func TestAServerTurnsStrangersAway(t *testing.T) {
	l, err := listen(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	stranger := func(*net.UnixConn) bool { return false }
	defer newServer(l, stranger, func(Request) Response {
		t.Error("handled")
		return Response{}
	}, patience).Close()
	if answer := raw(t, `{"report":true}`); answer != "" {
		t.Errorf("%q", answer)
	}
}

// TestWhoHasTakenAnothersNameIsNotAsked since the kernel says who listens.
func TestWhoHasTakenAnothersNameIsNotAsked(t *testing.T) {
	_, pid := as(t, uint32(os.Geteuid()), "sleep")
	l, err := listen(pid) // in this process
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(l, trusted, func(q Request) Response {
		t.Errorf("asked: %+v", q)
		return Response{}
	}, patience)
	defer s.Close()
	if _, err := Send(t.Context(), pid, Request{Report: true}); !errors.Is(err, ErrNoCopy) {
		t.Errorf("%v", err)
	}
}

// TestANameThatIsTakenIsAnError and not the end of anything.
func TestANameThatIsTakenIsAnError(t *testing.T) {
	serve(t, func(Request) Response { return Response{} })
	if _, err := Serve(t.Context(), nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
}
