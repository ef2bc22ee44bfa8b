package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
)

// stage is a relay that runs, with the server behind it; or the server alone.
type stage struct {
	kind   kind
	server *role.Process
	behind ports
	front  *net.TCPAddr // where the relay listens
	relay  *exec.Cmd    // nil if there is none
	tree   machine.Tree
	ended  chan error
}

// askAgain is how long to wait before something is looked at once more.
const askAgain = 5 * time.Millisecond

// set starts a server and a relay to the port of it that is chosen. Apart from each other they have a CPU for itself
// each.
func (w *workplace) set(k kind, choose func(ports) string, apart bool) (_ *stage, err error) {
	s := &stage{kind: k, ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			s.strike()
		}
	}()
	if s.server, err = role.Start("server", role.Options{CPUs: theirs(apart, false)}); err != nil {
		return nil, err
	}
	if err := s.server.Out.Decode(&s.behind); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if k.program == "" {
		s.front, err = net.ResolveTCPAddr("tcp", choose(s.behind))
		return s, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if s.front, err = net.ResolveTCPAddr("tcp", listen); err != nil {
		return nil, err
	}
	args, err := k.args(w, places{listen, choose(s.behind), s.behind.Mirror})
	if err != nil {
		return nil, err
	}
	program := k.program
	if built := w.built[program]; built != "" {
		program = built
	}
	s.relay = exec.Command(program, args...)
	s.relay.Stderr = os.Stderr
	s.relay.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	start := s.relay.Start
	if apart {
		start = func() error { return role.StartOn(s.relay, theirs(apart, true)) }
	}
	if err := start(); err != nil {
		s.relay = nil
		return nil, err
	}
	s.tree = machine.Tree(s.relay.Process.Pid)
	go func() { s.ended <- s.relay.Wait() }()
	return s, s.await()
}

// theirs are the CPUs of the relay, or of all others, if these are to be apart; else nil, which is all of them.
func theirs(apart, relay bool) *unix.CPUSet {
	if !apart {
		return nil
	}
	return role.Apart(relay)
}

// freeAddress is one where nobody listens. The relay that gets it finds nobody there unless somebody was quicker.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// await waits until the relay takes connections.
func (s *stage) await() error {
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); ; {
		c, err := net.DialTCP("tcp", nil, s.front)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("it has ended: %v", err)
		default:
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(askAgain)
	}
}

// dial connects to the relay, and asks the server behind it for something.
func (s *stage) dial(asks byte, n int64) (*net.TCPConn, error) {
	c, err := net.DialTCP("tcp", nil, s.front)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(header(asks, n)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// mirrored waits until the mirror has so many bytes, or until nothing more comes, and returns what part of them it has.
func (s *stage) mirrored(want int64) (float64, error) {
	const patience = 100 // pauses in which nothing comes
	last := int64(-1)
	for same := 0; same < patience; same++ {
		var n int64
		if err := s.server.Ask(bytesOfMirrors, &n); err != nil {
			return 0, err
		}
		if n >= want {
			return float64(n) / float64(want), nil
		}
		if n != last {
			same, last = 0, n
		}
		time.Sleep(askAgain)
	}
	return float64(last) / float64(want), nil
}

// cpu is the CPU time that the relay has used, all of its processes; NaN if there is none.
func (s *stage) cpu() (seconds float64, err error) {
	if s.relay == nil {
		return math.NaN(), nil
	}
	used, err := s.tree.CPU()
	return used.Seconds(), err
}

// kill ends whoever the client may be waiting for. From any goroutine.
func (s *stage) kill() {
	if s.relay == nil {
		s.server.Kill()
		return
	}
	_ = s.relay.Process.Kill() // it may have ended
}

// strike ends both, and returns the CPU time that they have used.
func (s *stage) strike() (used time.Duration) {
	if s.relay != nil {
		used, _ = s.tree.CPU() // no more than what the others have used is reckoned from it
	}
	if s.server != nil { // before the relay, whose connections it would find broken
		used += s.server.Stop()
	}
	if s.relay != nil {
		// The group is killed whole: a relay that forks, or has workers, would leave them behind.
		_ = syscall.Kill(-s.relay.Process.Pid, syscall.SIGKILL)
		<-s.ended
	}
	return used
}
