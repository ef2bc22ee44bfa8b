package penstock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// budgetEcho tells the relay's process the address behind it, and budgetConns how many connections will come.
const (
	budgetEcho  = "PENSTOCK_BUDGET_ECHO"
	budgetConns = "PENSTOCK_BUDGET_CONNS"
)

// TestARelayWithoutAPipeBudgetLosesNothing relays thousands of connections as a user whose pipes hold all that they may:
// a new one has 2 slots, and none may grow. All are open at a time; each carries a few KiB before that, and a few after.
func TestARelayWithoutAPipeBudgetLosesNothing(t *testing.T) {
	if os.Getenv(budgetEcho) != "" {
		relayWithoutBudget(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root may become somebody else")
	}
	conns := 3000 // a process has two descriptors for each, and under the race detector may not have 8128 goroutines
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if spare := uint64(500); files.Cur < 2*uint64(conns)+spare {
		conns = int(max(files.Cur, 2*spare)-spare) / 2
		t.Logf("of %d descriptors: %d connections", files.Cur, conns)
	}
	echo, front := listen(t), listen(t)
	go echoAll(echo)
	relay := inRelay(t, front, echo.Addr().String(), conns)

	deadline := time.Now().Add(45 * time.Second) // to fail, and not to hang
	clients := make([]*echoClient, conns)
	inParallel(conns, func(i int) error {
		c, err := net.Dial("tcp", front.Addr().String())
		if err != nil {
			return err
		}
		clients[i] = &echoClient{c.(*net.TCPConn), i}
		return errors.Join(c.SetDeadline(deadline), clients[i].exchange(2048+i%3000))
	}, t.Errorf)
	if !t.Failed() {
		bulk := make(chan error, 1)
		go func() { bulk <- clients[0].bulk(8 << 20) }()
		inParallel(conns-1, func(i int) error { return clients[i+1].last(1 + i%5000) }, t.Errorf)
		if err := <-bulk; err != nil {
			t.Errorf("bulk: %v", err)
		}
	}
	for _, c := range clients {
		if c != nil {
			c.Close()
		}
	}
	if t.Failed() {
		relay.kill()
	}
	relay.wait()
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// echoAll sends back what comes, by other means than those that are tested.
func echoAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}); err == nil {
				_ = c.(*net.TCPConn).CloseWrite()
			}
		}()
	}
}

// inParallel does something for each index, a few at a time, and tells what fails.
func inParallel(n int, do func(i int) error, fail func(format string, args ...any)) {
	const workers = 8
	var all sync.WaitGroup
	for first := range workers {
		all.Go(func() {
			for i := first; i < n; i += workers {
				if err := do(i); err != nil {
					fail("connection %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// echoClient is one connection, whose bytes differ from those of its neighbours.
type echoClient struct {
	*net.TCPConn
	index int
}

func (c *echoClient) data(n int) []byte { return pattern(c.index%251 + n)[c.index%251:] }

func (c *echoClient) exchange(n int) error {
	data := c.data(n)
	if _, err := c.Write(data); err != nil {
		return err
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	return sameBytes(got, data)
}

// last is what a connection carries before its end.
func (c *echoClient) last(n int) error {
	data := c.data(n)
	if _, err := c.Write(data); err != nil {
		return err
	}
	return errors.Join(c.CloseWrite(), c.rest(data))
}

func (c *echoClient) bulk(n int) error {
	data, sent := c.data(n), make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		sent <- errors.Join(err, c.CloseWrite())
	}()
	return errors.Join(c.rest(data), <-sent)
}

func (c *echoClient) rest(want []byte) error {
	got, err := io.ReadAll(c)
	return errors.Join(err, sameBytes(got, want))
}

func sameBytes(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes came back of %d, or others", len(got), len(want))
	}
	return nil
}

// relayProcess is this test binary, run as nobody.
type relayProcess struct {
	kill func()
	wait func()
}

func inRelay(t *testing.T, front *net.TCPListener, echo string, conns int) relayProcess {
	t.Helper()
	l, err := front.File()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// Whom it becomes may not enter the directory of the binary, but may run what runs already.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=50s")
	cmd.Dir, cmd.ExtraFiles = "/", []*os.File{l}
	cmd.Env = append(os.Environ(), budgetEcho+"="+echo, fmt.Sprint(budgetConns, "=", conns), "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Skipf("nobody may not run this: %v", err)
	}
	return relayProcess{
		kill: func() { _ = cmd.Process.Kill() },
		wait: func() {
			t.Helper()
			switch err := cmd.Wait(); {
			case err != nil:
				t.Errorf("the relay: %v\n%s", err, &said)
			case strings.Contains(said.String(), "--- SKIP"):
				t.Skipf("the relay:\n%s", &said)
			default:
				t.Logf("the relay:\n%s", &said)
			}
		},
	}
}

// relayWithoutBudget is that process: it uses the budget up, and relays so many connections.
func relayWithoutBudget(t *testing.T) {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		t.Fatal(err)
	}
	conns, err := strconv.Atoi(os.Getenv(budgetConns))
	if err != nil {
		t.Fatal(err)
	}
	useUpPipeBudget(t)
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		by  = make(map[penstock.Path]int64)
		sum int64
	)
	for range conns {
		a, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b, err := net.Dial("tcp", os.Getenv(budgetEcho))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			forward, backward, err := penstock.CopyBoth(t.Context(), a, b)
			if err = errors.Join(err, a.Close(), b.Close()); err != nil {
				t.Errorf("a relay: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, rep := range []penstock.Report{forward, backward} {
				sum += rep.Delivered
				for _, path := range letters {
					by[path] += rep.By(path)
				}
				if rep.Consumed != rep.Delivered || rep.Delivered != forward.Delivered {
					t.Errorf("forward %+v, backward %+v", forward, backward)
				}
			}
		})
	}
	all.Wait()
	if !penstock.Probe().Pipes.OverSoft {
		t.Error("there was a budget again")
	}
	for _, n := range by {
		sum -= n
	}
	if sum != 0 {
		t.Errorf("%d bytes went by no path: %v", sum, by)
	}
	t.Logf("by path: %v", by)
}

// useUpPipeBudget makes pipes until this user's have as many pages as they may.
func useUpPipeBudget(t *testing.T) {
	t.Helper()
	limits := penstock.Probe().Pipes
	switch {
	case limits.Soft == 0:
		t.Skip("there is no soft limit")
	case limits.Err != nil:
		t.Skip(limits.Err)
	}
	for size := 1 << 20; size > 2*os.Getpagesize(); {
		p, err := penstock.NewKernelPipe(size)
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { p.Close() })
		size = p.Cap() // less and less, when not much is left
	}
	if p := penstock.Probe().Pipes; !p.OverSoft {
		t.Skipf("the budget cannot be used up: %+v", p)
	}
}
