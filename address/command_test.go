//go:build unix

package address_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	. "github.com/penstock-io/penstock/address"
)

func TestACommandIsReadWrittenAndBoth(t *testing.T) {
	want := stream()
	from, to := write(t, "from", want), filepath.Join(t.TempDir(), "to")
	src := open(t, "exec:cat "+from, Source, Config{})
	if _, ok := src.Reader.(*os.File); !ok {
		t.Errorf("%T", src.Reader)
	}
	got := drain(t, src)
	same(t, got, want)
	// It is still busy when all has been written to it.
	fill(t, open(t, "exec:cat | (sleep 0.1; cat) >"+to, Destination, Config{}), got)
	same(t, read(t, to), want)
	both := open(t, "exec:tr a b", Both, Config{})
	defer meanwhile(func() {
		_, _ = both.Writer.Write(bytes.Repeat([]byte("a"), 1<<20))
		if err := both.CloseWrite(); err != nil {
			t.Error(err)
		}
	})()
	same(t, drain(t, both), bytes.Repeat([]byte("b"), 1<<20))
}

func TestWhatACommandPrintsGoesWhereOurOutputGoes(t *testing.T) {
	r, w := pipe(t)
	fill(t, open(t, "exec:wc -c", Destination, Config{Stdout: w}), []byte("12345"))
	w.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, bytes.TrimSpace(b), []byte("5"))
}

func TestACommandsStatusIsAnError(t *testing.T) {
	for role, command := range map[Role]string{
		Source:      "exec:echo some; exit 3",
		Destination: "exec:cat >/dev/null; exit 3",
		Both:        "exec:cat; exit 3",
	} {
		e := open(t, command, role, Config{})
		if role.String() != "source" {
			if _, err := e.Writer.Write([]byte("some\n")); err != nil {
				t.Error(err)
			}
			if err := e.CloseWrite(); err != nil {
				t.Error(err)
			}
		}
		if role != Destination {
			b, err := io.ReadAll(e.Reader)
			if err != nil {
				t.Error(err)
			}
			same(t, b, []byte("some\n"))
		}
		says(t, e.Address, e.Finish(within(t)), "exit status 3")
	}
	e := open(t, "exec:kill -9 $$", Source, Config{})
	_, _ = io.ReadAll(e.Reader)
	says(t, e.Address, e.Finish(within(t)), "signal: killed")
}

func TestACommandThatDoesNotReadIsAnError(t *testing.T) {
	e := open(t, "exec:exec <&-; exit 4", Destination, Config{})
	_, err := penstock.Copy(within(t), e.Writer, bytes.NewReader(stream()))
	if side, _ := penstock.SideOf(err); side != penstock.SideSink || !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	says(t, e.Address, e.Close(), "exit status 4")
	if runtime.GOOS != "linux" {
		return // elsewhere nobody tells what was left in a pipe
	}
	gate := filepath.Join(t.TempDir(), "gate")
	e = open(t, "exec:until [ -e "+gate+" ]; do sleep 0.01; done", Destination, Config{})
	if _, err := e.Writer.Write([]byte("seven b")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = e.Finish(within(t))
	says(t, e.Address, err, "the command ended without reading the last 7 bytes")
	if !errors.Is(err, syscall.EPIPE) {
		t.Error("is no EPIPE")
	}
}

func TestASourceThatIsLeftEarlyMayDieOfIt(t *testing.T) {
	for _, command := range []string{"exec:yes", "exec:yes; exit 141", "exec:yes | cat"} {
		e := open(t, command, Source, Config{})
		readFull(t, e.Reader, make([]byte, 100))
		if err := e.Finish(within(t)); err != nil {
			t.Error(err)
		}
	}
}

func TestACommandThatGoesOnIsCut(t *testing.T) {
	e := open(t, "exec:sleep 1000", Destination, Config{})
	ctx, cancel := context.WithCancelCause(within(t))
	time.AfterFunc(20*time.Millisecond, func() { cancel(errEnough) })
	says(t, e.Address, e.Finish(ctx), "waiting for the command to end: enough")
}

// A false end would make the command take what it has for the whole; so it must not see one, nor may what it has
// started.
func TestACommandThatIsGivenUpSeesNoEnd(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r, w := pipe(t)
	e := open(t, "exec:echo begun; (cat; echo whole) | cat >"+out, Destination, Config{Stdout: w})
	readFull(t, r, make([]byte, 6))
	if _, err := e.Writer.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	w.Close()
	if _, err := io.ReadAll(r); err != nil { // ends when the last of them is gone
		t.Error(err)
	}
	if b := read(t, out); bytes.Contains(b, []byte("whole")) {
		t.Errorf("%q", b)
	}
}

func TestACommandThatIgnoresSIGTERMIsKilled(t *testing.T) {
	r, w := pipe(t)
	e := open(t, "exec:trap '' TERM; echo begun; while :; do sleep 1; done", Destination, Config{Stdout: w})
	readFull(t, r, make([]byte, 6))
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	w.Close()
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
}

func TestACommandIsOutOfReachOfCtrlCUnlessItHasTheTerminal(t *testing.T) {
	for option, apart := range map[string]bool{"": true, "?terminal": false} {
		want := "yes\n"
		if apart {
			want = "no\n"
		}
		e := open(t, "exec"+option+":[ $(ps -o pgid= -p $$) = $(ps -o pgid= -p $PPID) ] && echo yes || echo no", Source, Config{})
		b := drain(t, e)
		if string(b) != want {
			t.Errorf("%q: in our group: %s", option, b)
		}
	}
}
