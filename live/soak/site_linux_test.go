package soak

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/live"
)

const (
	stall = 15 * time.Second // that a viewer may take nothing

	kernelRing = 4 << 20 // bytes: a burst is more, and no chunk
	memoryRing = 2 << 20

	segmentBytes = 2 << 20
	keptBytes    = 48 << 20 // of a stream's recording: some minutes of it
	pruneEvery   = 2 * time.Second
)

// site is one server with its doors.
type site struct {
	*live.Server
	door
	record string // its directory; empty: none
	said   *tally
}

// open starts a server until the end of the test. Its own log is counted, and what is an error fails the test.
func open(t *testing.T, cfg live.Config, streams ...string) *site {
	t.Helper()
	s := &site{record: cfg.Record, said: newTally()}
	cfg.Grace, cfg.TakeOver = grace, true
	cfg.Limits = hub.Limits{Stall: stall}
	cfg.Log = slog.New(s.said)
	var err error
	if s.Server, err = live.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.Publish = make(map[string]string)
	for _, name := range streams {
		l := listen(t)
		s.Publish[name] = l.Addr().String()
		if err := s.ListenTCP(name, l); err != nil {
			t.Fatal(err)
		}
	}
	around := httptest.NewUnstartedServer(s.Handler())
	around.EnableHTTP2 = true
	around.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // of handshakes that a client gave up
	around.StartTLS()
	s.TLS = around.Listener.Addr().String()

	l := listen(t)
	s.HTTP = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		around.Close()
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

// metric returns the sum of a metric's values. It takes no connection, which would be counted.
func (s *site) metric(t *testing.T, name string) int {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	sum := 0.0
	for line := range strings.Lines(w.Body.String()) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		sum += f
	}
	return int(sum)
}

// prune deletes the oldest of each stream's files while there is more than keptBytes, until it is stopped.
func (s *site) prune(t *testing.T) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pruneEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			dirs, err := os.ReadDir(s.record)
			if err != nil {
				t.Error(err)
			}
			for _, d := range dirs {
				if err := pruneStream(filepath.Join(s.record, d.Name())); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	return func() { close(quit); <-done }
}

func pruneStream(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	all := int64(0)
	for _, e := range entries {
		f, err := e.Info()
		if err != nil {
			return err
		}
		files = append(files, f)
		all += f.Size()
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for ; all > keptBytes && len(files) > 1; files = files[1:] {
		if err := os.Remove(filepath.Join(dir, files[0].Name())); err != nil {
			return err
		}
		all -= files[0].Size()
	}
	return nil
}
