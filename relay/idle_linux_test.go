package relay_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/relay"
)

// A relay that is alone in a process, under limits that are to hold for it: this test binary, started again.
const (
	childTarget = "PENSTOCK_RELAY_TARGET" // where it forwards to
	childMirror = "PENSTOCK_RELAY_MIRROR" // where it mirrors to; empty is nowhere
	childFiles  = "PENSTOCK_RELAY_FILES"  // descriptors that it may have; 20,000 unless set
	idleEnv     = "PENSTOCK_RELAY_IDLE"   // how many connections TestIdleConnectionsCostTwoDescriptors has; 200 unless set
)

func init() {
	if os.Getenv(childTarget) != "" {
		again = childRelay
	}
}

// childRelay says its address on standard output, forwards until standard input ends, and says then how it was.
func childRelay() error {
	files, err := strconv.ParseUint(cmp.Or(os.Getenv(childFiles), "20000"), 10, 64)
	if err != nil {
		return err
	}
	limit := unix.Rlimit{Cur: files, Max: files}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	c := relay.Config{
		Targets: []relay.Target{{Address: os.Getenv(childTarget)}}, IdleTimeout: time.Hour, MaxConns: 10_000,
		Log: slog.New(slog.DiscardHandler),
	}
	if addr := os.Getenv(childMirror); addr != "" {
		c.Mirrors = []relay.Mirror{{Open: to(addr), Queue: 4 << 20, Linger: time.Minute}}
	}
	r, err := relay.New(c)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() { over <- r.Serve(context.Background(), l) }()
	fmt.Println(l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = errors.Join(err, r.Shutdown(ctx), <-over)
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(r.Stats()))
}

// child is such a process.
type child struct {
	*exec.Cmd
	addr  string
	stdin io.Closer
	out   *json.Decoder
}

// startChild starts it, as another user if that is not 0.
func startChild(t *testing.T, user uint32, target, mirror string) *child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe") // which another user may start, wherever it is
	cmd.Env = append(os.Environ(), childTarget+"="+target, childMirror+"="+mirror)
	cmd.Stderr = os.Stderr
	if user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
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
		_ = cmd.Process.Kill() // fails if it has ended
		_ = cmd.Wait()         // and then says so once more
	})
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	return &child{cmd, addr, in, json.NewDecoder(out)}
}

// end ends it, and returns what it says.
func (c *child) end(t *testing.T) (s relay.Stats) {
	t.Helper()
	c.stdin.Close()
	if err := errors.Join(c.out.Decode(&s), c.Wait()); err != nil {
		t.Error(err)
	}
	return s
}

// holds counts its descriptors, by what they are: socket, pipe, and others.
func (c *child) holds(t *testing.T) map[string]int {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd/", c.Process.Pid)
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[string]int)
	for _, one := range all {
		to, _ := os.Readlink(dir + one.Name()) // fails for one that is closed by now
		kind, _, _ := strings.Cut(to, ":")
		n[kind]++
	}
	return n
}

// memory is what of it is in RAM, in KiB.
func (c *child) memory(t *testing.T) (kib int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

// TestIdleConnectionsCostTwoDescriptors each and no pipe, before they have moved anything and after, and all still
// forward. With PENSTOCK_RELAY_IDLE=9000 it is what 20,000 descriptors are enough for.
func TestIdleConnectionsCostTwoDescriptors(t *testing.T) {
	n := 200
	if text := os.Getenv(idleEnv); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	c := startChild(t, 0, server(t, func(s *net.TCPConn) { // one that has no pipe, and not much of a buffer
		_, _ = io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{s}, make([]byte, 100))
		_ = s.CloseWrite()
	}), "")
	empty, none := c.memory(t), c.holds(t)
	clients := make([]*net.TCPConn, n)
	word := func(i int) []byte { return fmt.Appendf(nil, "connection %d", i) }
	speak := func() {
		for i, conn := range clients { // all of them have something under way
			if _, err := conn.Write(word(i)); err != nil {
				t.Fatal(err)
			}
		}
		for i, conn := range clients {
			got := make([]byte, len(word(i)))
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, word(i)) {
				t.Fatalf("connection %d: %q, %v", i, got, err)
			}
		}
	}
	look := func(when string) {
		t.Helper()
		h := c.holds(t)
		if sockets := h["socket"] - none["socket"]; sockets != 2*n {
			t.Errorf("%s: %d sockets for %d connections", when, sockets, n)
		}
		if pipes := h["pipe"] - none["pipe"]; pipes > 200 {
			t.Errorf("%s: %d descriptors of pipes for %d connections", when, pipes, n)
		}
		m := c.memory(t)
		t.Logf("%s: %d connections, %v, %d KiB, %.1f KiB each", when, n, h, m, float64(m-empty)/float64(n))
	}
	for i := range clients {
		clients[i] = dial(t, c.addr)
	}
	for end := time.Now().Add(time.Minute); c.holds(t)["socket"]-none["socket"] < 2*n && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the last are being connected
	}
	look("quiet from the beginning")
	speak()
	look("quiet again")
	speak()
	for _, conn := range clients {
		conn.Close()
	}
	if s := c.end(t); s.Accepted != int64(n) || s.Open != 0 || s.Forward != s.Backward || s.Ends["--"] != int64(n) {
		t.Errorf("%+v", s)
	}
}

// TestAUserWithoutPrivilegesHasPipesEnough for hundreds of connections that all move at once, with mirrors: where there
// are none left the bytes go another way.
func TestAUserWithoutPrivilegesHasPipesEnough(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody, n = 65534, 300
	data := noise(50_000)
	var mirrored sync.WaitGroup
	mirrored.Add(2 * n)
	mirror := server(t, func(s *net.TCPConn) {
		defer mirrored.Done()
		if b, err := io.ReadAll(s); err != nil || !bytes.Equal(b, data) {
			t.Errorf("a mirror has %d bytes of %d, or others, and %v", len(b), len(data), err)
		}
	})
	c := startChild(t, nobody, echo(t), mirror)
	var all sync.WaitGroup
	for range n {
		client := dial(t, c.addr)
		all.Go(func() { say(t, client, data) })
		all.Go(func() {
			if got := hear(t, client); !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back, or others", len(got))
			}
			client.Close()
		})
	}
	all.Wait()
	mirrored.Wait()
	s := c.end(t)
	if s.Ends["--"] != n || s.Lost != 0 || s.Mirrored != 2*n*int64(len(data)) {
		t.Errorf("%+v", s)
	}
	t.Logf("%d of %d bytes were spliced", s.Spliced, s.Forward+s.Backward)
}

// TestAMirrorThatNeverReadsUsesUpNoDescriptors that connections need: what those that are over have left for it is given up
// first, and counted.
func TestAMirrorThatNeverReadsUsesUpNoDescriptors(t *testing.T) {
	const files, n = 40, 20
	t.Setenv(childFiles, strconv.Itoa(files))
	over := make(chan struct{})
	c := startChild(t, 0, echo(t), server(t, func(s *net.TCPConn) {
		_ = s.SetReadBuffer(1) // as little as there is
		<-over
	}))
	end := sync.OnceFunc(func() { close(over) })
	defer end()
	data := noise(4 << 20) // more than sockets hold
	for range n {
		client := dial(t, c.addr)
		go say(t, client, data)
		if got := hear(t, client); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes came back, or others", len(got))
		}
		client.Close()
	}
	end()
	if s := c.end(t); s.Ends["--"] != n || s.Lost == 0 || s.Mirrored+s.Lost != 2*n*int64(len(data)) {
		t.Errorf("%+v", s)
	}
}
