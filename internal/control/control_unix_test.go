//go:build unix

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// ptr is for what is nil where nothing is asked for.
func ptr[T any](v T) *T { return &v }

// serve serves this process until the end of the test.
func serve(t *testing.T, handle func(Request) Response) *Server {
	t.Helper()
	s, err := Serve(t.Context(), handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestARequestArrivesAndIsAnswered(t *testing.T) {
	got := make(chan Request, 1)
	serve(t, func(q Request) Response {
		got <- q
		return Response{Report: json.RawMessage(`{"bytes":5}`)}
	})
	asked := Request{
		Rate: ptr[int64](10 << 20), Size: ptr[int64](0), Name: ptr("a \x1b\"name\""), Interval: ptr(time.Second / 2),
		Report: true,
	}
	r, err := Send(t.Context(), os.Getpid(), asked)
	if err != nil || string(r.Report) != `{"bytes":5}` {
		t.Fatalf("%s, %v", r.Report, err)
	}
	q := <-got
	if *q.Rate != 10<<20 || *q.Size != 0 || *q.Name != "a \x1b\"name\"" || *q.Interval != time.Second/2 || !q.Report {
		t.Errorf("%+v", q)
	}
	if _, err := Send(t.Context(), os.Getpid(), Request{Rate: ptr[int64](0)}); err != nil {
		t.Fatal(err)
	}
	if q := <-got; *q.Rate != 0 || q.Size != nil || q.Name != nil || q.Interval != nil || q.Report {
		t.Errorf("what was not asked for: %+v", q)
	}
}

func TestWhatAProcessDeclinesIsAnError(t *testing.T) {
	serve(t, func(Request) Response { return Response{Error: "it has come to its end"} })
	_, err := Send(t.Context(), os.Getpid(), Request{Report: true})
	var e *Error
	if !errors.As(err, &e) || e.PID != os.Getpid() || !strings.HasSuffix(err.Error(), ": it has come to its end") {
		t.Errorf("%v", err)
	}
}

func TestAReportThatIsNoJSONIsAnError(t *testing.T) {
	serve(t, func(Request) Response { return Response{Report: json.RawMessage("{")} })
	if r, err := Send(t.Context(), os.Getpid(), Request{Report: true}); err == nil {
		t.Errorf("%s", r.Report)
	}
}

func TestARequestThatMakesNoSenseIsNotSent(t *testing.T) {
	serve(t, func(q Request) Response {
		t.Errorf("handled: %+v", q)
		return Response{}
	})
	for _, q := range []Request{
		{},
		{Rate: ptr[int64](-1)},
		{Size: ptr[int64](-1)},
		{Interval: ptr(time.Duration(0))},
		{Name: ptr(strings.Repeat("n", mostName+1))},
	} {
		if _, err := Send(t.Context(), os.Getpid(), q); err == nil || !strings.Contains(err.Error(), "request: ") {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// raw asks this process in somebody else's words.
func raw(t *testing.T, words string) string {
	t.Helper()
	c, err := dial(t.Context(), os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, werr := io.WriteString(c, words)
	if errors.Is(werr, syscall.EPIPE) {
		return "" // turned away already
	}
	if err := c.CloseWrite(); (err != nil && !errors.Is(err, syscall.ENOTCONN)) || werr != nil {
		t.Fatal(werr, err)
	}
	b, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return string(b)
}

func TestARequestIsTakenStrictly(t *testing.T) {
	serve(t, func(Request) Response { return Response{} })
	for words, want := range map[string]string{
		`{"rate":5}`:                   `{}`,
		` {"report": true} ` + "\n":    `{}`,
		``:                             ``,
		`{`:                            `{"error":"request: unexpected EOF"}`,
		`{}`:                           `{"error":"request: asks for nothing"}`,
		`{"rate":-5}`:                  `{"error":"request: rate -5 is less than nothing"}`,
		`{"rate":5}{"rate":5}`:         `{"error":"request: more than one object"}`,
		`{"rate":5} x`:                 `{"error":"request: more than one object"}`,
		`{"speed":5}`:                  `{"error":"request: json: unknown field \"speed\""}`,
		strings.Repeat(" ", 17<<10):    `{"error":"request: more than 16384 bytes"}`,
		`{"rate":5000000000000000000}`: `{}`,
	} {
		if got := raw(t, words); got != want {
			t.Errorf("%.40s: %s and not %s", words, got, want)
		}
	}
	for _, words := range []string{`{"rate":"5"}`, `[]`, `5`, `{"rate":50000000000000000000}`, `{"interval":"1s"}`} {
		if got := raw(t, words); !strings.HasPrefix(got, `{"error":"request: json: cannot unmarshal`) {
			t.Errorf("%s: %s", words, got)
		}
	}
}

// TestRequestsAreHandledOneAtATime however many come at once.
func TestRequestsAreHandledOneAtATime(t *testing.T) {
	var inside atomic.Int32
	handled := 0
	serve(t, func(Request) Response {
		if inside.Add(1) != 1 {
			t.Error("two at a time")
		}
		for range 100 {
			runtime.Gosched() // others would come in
		}
		handled++
		inside.Add(-1)
		return Response{}
	})
	const clients = 3 * atOnce
	done := make(chan error, clients)
	for range clients {
		go func() {
			_, err := Send(t.Context(), os.Getpid(), Request{Report: true})
			done <- err
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if handled != clients {
		t.Errorf("%d of %d are handled", handled, clients)
	}
}

// silent is a server that soon loses patience, and as many clients that say nothing as it attends to at once.
func silent(t *testing.T, patience time.Duration) (*Server, []*net.UnixConn) {
	t.Helper()
	l, err := listen(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(l, trusted, func(Request) Response { return Response{} }, patience)
	t.Cleanup(func() { s.Close() })
	clients := make([]*net.UnixConn, atOnce)
	for i := range clients {
		if clients[i], err = dial(t.Context(), os.Getpid()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { clients[i].Close() })
	}
	for attended := 0; attended < atOnce; runtime.Gosched() {
		s.mu.Lock()
		attended = len(s.open)
		s.mu.Unlock()
	}
	return s, clients
}

// TestClientsThatSayNothingAreDropped so that others have their turn.
func TestClientsThatSayNothingAreDropped(t *testing.T) {
	_, clients := silent(t, 200*time.Millisecond)
	if _, err := Send(t.Context(), os.Getpid(), Request{Report: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
	}
}

// TestCloseWaitsForNobodyWhoSaysNothing and afterwards there is nobody to be asked.
func TestCloseWaitsForNobodyWhoSaysNothing(t *testing.T) {
	s, clients := silent(t, time.Hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("once more: %v", err)
	}
	for _, c := range clients {
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes", n)
		}
	}
	if _, err := Send(t.Context(), os.Getpid(), Request{Report: true}); !errors.Is(err, ErrNoCopy) {
		t.Errorf("%v", err)
	}
}

// TestCloseLeavesWhoIsBeingAnsweredTheAnswer although it comes later.
func TestCloseLeavesWhoIsBeingAnsweredTheAnswer(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	s, err := Serve(ctx, func(Request) Response {
		close(asked)
		<-goOn
		return Response{Report: json.RawMessage("5")}
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		r, err := Send(t.Context(), os.Getpid(), Request{Report: true})
		if err == nil && string(r.Report) != "5" {
			err = fmt.Errorf("report %s", r.Report)
		}
		answer <- err
	}()
	<-asked
	stop()
	<-s.over
	close(goOn)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnAnswerIsWaitedForNoLongerThanTheContextSays by a client of a process that has stopped.
func TestAnAnswerIsWaitedForNoLongerThanTheContextSays(t *testing.T) {
	l, err := listen(os.Getpid()) // and nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := Send(ctx, os.Getpid(), Request{Report: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	stop()
	if _, err := Send(ctx, os.Getpid(), Request{Report: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that is over: %v", err)
	}
}

func TestAProcessThatIsNoCopyIsToldFromNone(t *testing.T) {
	for _, pid := range []int{0, -1, 1 << 30} {
		if _, err := Send(t.Context(), pid, Request{Report: true}); !errors.Is(err, ErrNoProcess) {
			t.Errorf("%d: %v", pid, err)
		}
	}
	_, err := Send(t.Context(), os.Getpid(), Request{Report: true})
	want := fmt.Sprintf("process %d: is no penstock copy that is running", os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestASocketInADirectoryIsItsUsersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "penstock-0")
	l, err := listenIn(dir, 5)
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close() // it is killed, and leaves the file
	if l, err = listenIn(dir, 5); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, socketIn(dir, 5): 0o600 | os.ModeSocket} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	c, err := dialIn(t.Context(), dir, 5)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := dialIn(t.Context(), dir, 6); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nobody there: %v", err)
	}
	l.Close()
	if _, err := os.Lstat(socketIn(dir, 5)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file stays: %v", err)
	}
}

func TestADirectoryThatOthersMayUseIsRefused(t *testing.T) {
	for name, lay := range map[string]func(dir string) error{
		"others may write": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o722)) },
		"others may look":  func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o701)) },
		"a link":           func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"a file":           func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
	} {
		dir := filepath.Join(t.TempDir(), "penstock-0")
		if err := lay(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := listenIn(dir, 5); err == nil {
			t.Errorf("%s: there is a socket", name)
		}
		if _, err := dialIn(t.Context(), dir, 5); err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make a directory that is another user's")
	}
	dir := filepath.Join(t.TempDir(), "penstock-0")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := listenIn(dir, 5); !errors.Is(err, ErrForeign) {
		t.Errorf("another user's: %v", err)
	}
}

// BenchmarkServe is what it costs a copy that nobody asks.
func BenchmarkServe(b *testing.B) {
	for b.Loop() {
		s, err := Serve(b.Context(), func(Request) Response { return Response{} })
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
