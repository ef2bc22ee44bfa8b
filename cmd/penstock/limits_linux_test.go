package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limited is a server with a limit on its descriptors, and a publisher.
type limited struct {
	t    *testing.T
	pid  int
	http string // where viewers go
	tcp  string // where publishers go
	pub  net.Conn

	turnedAway atomic.Int64 // as the log tells
}

// startLimited starts a server that may have so many descriptors more than it has once somebody publishes.
func startLimited(t *testing.T, more int) *limited {
	cmd := exec.Command("penstock", "serve", "--listen", "127.0.0.1:0", "--stream", "cam=tcp-listen://127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &limited{t: t, pid: cmd.Process.Pid}
	addr := make(chan string, 2) // the publishers', and HTTP's
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(addr)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.Contains(lines.Text(), `msg="turned away"`) && strings.Contains(lines.Text(), "too many open files") {
				l.turnedAway.Add(1)
			}
			for _, key := range []string{" address=", " url=http://"} {
				if _, a, ok := strings.Cut(lines.Text(), key); ok {
					addr <- strings.TrimSuffix(a, "/")
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may be gone
		defer time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() }).Stop()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	l.tcp, l.http = <-addr, <-addr
	if l.http == "" {
		t.Fatal("the server does not say where it is")
	}
	if l.pub, err = net.Dial("tcp", l.tcp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.pub.Close() })
	l.settle()
	n := uint64(l.descriptors() + more)
	if err := unix.Prlimit(l.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// settle waits until the server has its publisher.
func (l *limited) settle() {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r, err := http.Get("http://" + l.http + "/api/v1/streams")
		if err == nil {
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if strings.Contains(string(b), `"state":"live"`) {
				http.DefaultClient.CloseIdleConnections()
				return
			}
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("nobody publishes: %v", err)
		}
	}
}

func (l *limited) descriptors() int {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", l.pid))
	if err != nil {
		l.t.Fatal(err)
	}
	return len(all)
}

// watch connects a viewer, publishes something, and returns what the viewer is told with the connection, open if it has
// been let in.
func (l *limited) watch() (status string, header http.Header, c net.Conn) {
	l.t.Helper()
	c, err := net.Dial("tcp", l.http)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET /live/cam HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		l.t.Fatal(err)
	}
	// Whether it has come in time for what is published is not known: until it is told anything, there is more.
	told := make(chan struct{})
	published := make(chan error, 1)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-told:
				published <- nil
				return
			case <-tick.C:
			}
			if _, err := io.WriteString(l.pub, "something"); err != nil {
				published <- err
				return
			}
		}
	}()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	close(told)
	if perr := <-published; perr != nil {
		l.t.Fatal("the publisher: ", perr)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		c.Close()
	}
	return r.Status, r.Header, c
}

// TestOutOfDescriptorsAHundredTimes is at the limit over and over: the viewer that does not fit in is told so, and
// the next one after somebody has left is let in. The publisher does not notice.
func TestOutOfDescriptorsAHundredTimes(t *testing.T) {
	const most = 40
	l := startLimited(t, most)
	var in []net.Conn
	for len(in) <= most {
		status, header, c := l.watch()
		if status[:3] == "200" {
			in = append(in, c)
			continue
		}
		if status[:3] != "503" || header.Get("Retry-After") == "" {
			t.Fatalf("with %d viewers: %s %v", len(in), status, header)
		}
		break
	}
	if len(in) < most/2 || len(in) > most {
		t.Fatalf("%d viewers were let in", len(in))
	}
	for i := range 100 {
		in[i%len(in)].Close()
		began := time.Now()
		for {
			status, _, c := l.watch()
			if status[:3] == "200" {
				in[i%len(in)] = c
				break
			}
			if time.Since(began) > 5*time.Second {
				t.Fatalf("time %d: %s, %v after there was room", i+1, status, time.Since(began))
			}
		}
		if status, _, _ := l.watch(); status[:3] != "503" {
			t.Fatalf("time %d: one more than there is room for: %s", i+1, status)
		}
	}
	second, err := net.Dial("tcp", l.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_ = second.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := second.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a publisher that there is no room for: %d, %v", n, err)
	}
	if n := l.turnedAway.Load(); n < 100 {
		t.Errorf("the log tells of %d that were turned away", n)
	}
}
