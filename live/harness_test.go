package live_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

// TestMain has more tests side by side than there are processors, unless told otherwise: most of the time they wait.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// server is a live.Server on loopback, shut down at the end of its test.
type server struct {
	*live.Server
	t      *testing.T
	addr   string // HTTP
	record string
	log    *logBuffer
	stop   func() // shuts down and waits
}

// logBuffer is a log that a test can look through.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts a server that records.
func start(t *testing.T, cfg live.Config) *server {
	t.Helper()
	cfg.Record = t.TempDir()
	return startAs(t, cfg)
}

// startAs starts a server as it is configured, but for its log and its drain.
func startAs(t *testing.T, cfg live.Config) *server {
	t.Helper()
	s := &server{t: t, log: new(logBuffer), record: cfg.Record}
	cfg.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Drain == 0 {
		cfg.Drain = 5 * time.Second
	}
	var err error
	if s.Server, err = live.New(cfg); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// listenTCP opens a publishers' listener for the stream and returns its address.
func (s *server) listenTCP(name string) string {
	s.t.Helper()
	l := listen(s.t)
	if err := s.ListenTCP(name, l); err != nil {
		s.t.Fatal(err)
	}
	return l.Addr().String()
}

func (s *server) url(path string) string { return "http://" + s.addr + path }

// facts is what the tests read of the API.
type facts struct {
	Name, State, Publisher string
	ContentType            string `json:"content_type"`
	Viewers                int
	BytesIn                int64 `json:"bytes_in"`
	BytesOut               int64 `json:"bytes_out"`
	Recording              struct {
		File           string
		Segments, Gaps int
		Bytes          int64
		GapBytes       int64   `json:"gap_bytes"`
		GapSince       *string `json:"gap_since"`
		Error          string
	}
	Slow, Skips  int
	Skipped      int64 `json:"skipped_bytes"`
	By, Left     map[string]int64
	Calls        int64
	Policy       string
	Edges        []edge
	EdgesOmitted int `json:"edges_omitted"`
}

type edge struct {
	To, Path, Why, Policy string
	Bytes, Calls, Lag     int64
	By                    map[string]int64
	Behind                float64 `json:"behind_seconds"`
	Slow                  float64 `json:"slow_seconds"`
	Archived              bool
	Stalls, Skips         int64
	Skipped               int64 `json:"skipped_bytes"`
}

// until polls the API until the stream's facts are as wanted: there is no event to wait for from outside.
func (s *server) until(name, what string, ok func(facts) bool) facts {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	var last facts
	for time.Now().Before(deadline) {
		var all []facts
		body := s.get("/api/v1/streams")
		if err := json.Unmarshal(body, &all); err != nil {
			s.t.Fatalf("%v in %s", err, body)
		}
		for _, f := range all {
			if last = f; f.Name == name && ok(f) {
				return f
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatalf("stream %q: never %s; last %+v", name, what, last)
	return facts{}
}

func (s *server) untilViewers(name string, n int) {
	s.t.Helper()
	s.until(name, fmt.Sprintf("with %d viewers", n), func(f facts) bool { return f.Viewers == n })
}

func (s *server) get(path string) []byte {
	s.t.Helper()
	r, err := http.Get(s.url(path))
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// announce makes a stream known without a byte, so that viewers can be there before the first.
func (s *server) announce(name string) {
	s.t.Helper()
	if status, body := s.put(name, ""); status != http.StatusOK {
		s.t.Fatalf("announcing %s: %d %s", name, status, body)
	}
}

// put publishes a body whole.
func (s *server) put(name, body string) (status int, answer string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPut, s.url("/live/"+name), strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// watcher is a viewer's connection. Its request is sent; nothing has been read.
type watcher struct {
	conn *net.TCPConn
	r    *bufio.Reader
}

func (s *server) watch(name string) *watcher {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "GET /live/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", name); err != nil {
		s.t.Fatal(err)
	}
	return &watcher{c.(*net.TCPConn), bufio.NewReader(c)}
}

// response reads the header of the answer.
func (w *watcher) response() (*http.Response, error) { return http.ReadResponse(w.r, nil) }

// body reads all of the answer.
func (w *watcher) body() ([]byte, error) {
	r, err := w.response()
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", r.Status)
	}
	var b bytes.Buffer // which grows in larger steps than io.ReadAll
	_, err = b.ReadFrom(r.Body)
	return b.Bytes(), err
}

// watching reads a watcher's body in the background, and hangs up behind it, as clients do: the server need not wait
// for that.
type watching struct {
	done chan struct{}
	b    []byte
	err  error
}

func (w *watcher) background() *watching {
	g := &watching{done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.b, g.err = w.body()
		w.conn.Close()
	}()
	return g
}

func (g *watching) bytes(t *testing.T) []byte {
	t.Helper()
	<-g.done
	if g.err != nil {
		t.Errorf("viewer: %v", g.err)
	}
	return g.b
}

// recorded returns the one segment of the stream's recording.
func (s *server) recorded(name string) (path string, content []byte) {
	s.t.Helper()
	files, content := s.segments(name)
	if len(files) != 1 {
		s.t.Fatalf("segments of %s: %v", name, files)
	}
	return files[0], content
}

// segments returns the files of the stream's recordings in the order of their names, and what they hold, one behind the other.
func (s *server) segments(name string) (files []string, content []byte) {
	s.t.Helper()
	all, err := filepath.Glob(filepath.Join(s.record, name, "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range all {
		if filepath.Ext(path) == ".index" {
			continue
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was tried whether the disk takes something again, and it did not
		}
		if err != nil {
			s.t.Fatal(err)
		}
		files, content = append(files, path), append(content, b...)
	}
	return files, content
}

func same(t *testing.T, who string, got, want []byte) {
	t.Helper()
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("%s: %d bytes that differ from the %d wanted", who, len(got), len(want))
	}
}

// needs skips the test by name where a program is not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// backings runs a test over the kernel's pipes and over memory pipes.
func backings(t *testing.T, test func(t *testing.T, cfg live.Config)) {
	for name, noSplice := range map[string]bool{"splice": false, "no-splice": true} {
		t.Run(name, func(t *testing.T) { test(t, live.Config{NoSplice: noSplice}) })
	}
}

// untilNoIdlePipes waits until the pool has closed what nobody needs.
func (s *server) untilNoIdlePipes() {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		m := string(s.get("/metrics"))
		if !strings.Contains(m, "penstock_pipe_idle_bytes ") || strings.Contains(m, "\npenstock_pipe_idle_bytes 0\n") {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("idle pipes are kept")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
