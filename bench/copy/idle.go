package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
)

// Idle connections have carried a message each way, and then nothing.
//
//	clients ⇄ copier ⇄ servers

// idleMessage is what each connection has carried.
const idleMessage = 16

// footprint is what a process holds, and in slab what the kernel does for everybody: pipes are not in any process's
// memory, though a pipe of 1 MiB has a ring of 10 KiB when it is empty.
type footprint struct{ descriptors, resident, slab int }

func directIdle(c *cast) ([]float64, error) {
	s := c.spec
	if _, err := c.brief(&s, "servers"); err != nil {
		return nil, err
	}
	copier, err := c.brief(&s, "copier")
	if err != nil {
		return nil, err
	}
	before, err := settled(copier, s.For)
	if err != nil {
		return nil, err
	}
	if _, err := c.brief(&s, "clients"); err != nil {
		return nil, err
	}
	after, err := settled(copier, s.For)
	if err != nil {
		return nil, err
	}
	n := float64(s.Conns)
	return []float64{
		float64(after.descriptors-before.descriptors) / n,
		float64(after.resident-before.resident) / 1024 / n,
		float64(after.resident-before.resident+after.slab-before.slab) / 1024 / n,
		n,
	}, nil
}

// settled collects a process's garbage until it holds the same for a fifth of some time, or until that is over: pools
// give up what they do not need, but not at once.
func settled(p *role.Process, within time.Duration) (last footprint, err error) {
	const (
		alike = 8  // pauses
		most  = 40 // pauses
	)
	same := 0
	for range most {
		if err := p.Ask("collect", new(string)); err != nil {
			return last, fmt.Errorf("copier: %w", err)
		}
		now, err := footprintOf(p.PID())
		if err != nil {
			return last, err
		}
		change := now.resident - last.resident
		if now.descriptors == last.descriptors && max(change, -change) <= last.resident/50 {
			same++
		} else {
			same, last = 0, now
		}
		if same == alike {
			return now, nil
		}
		time.Sleep(within / most)
	}
	return last, nil
}

func footprintOf(pid int) (f footprint, err error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return f, err
	}
	memory, err := machine.MemoryOf(pid)
	slab, serr := machine.Slab()
	return footprint{len(open), memory.Resident, slab}, errors.Join(err, serr)
}

// playIdleRelays relays every connection it gets to a server, and collects its garbage when told.
func playIdleRelays(s spec, in *json.Decoder, out *json.Encoder) error {
	// What is needed is known of both kinds; where so many descriptors are not to be had there are fewer connections.
	each := map[string]int{kindIO: 6, kindPenstock: 2}[s.Kind]
	const rest = 300 // pipes in a pool, and what the process has anyway
	limit, err := machine.AllowDescriptors(s.Conns*each + rest)
	if err != nil {
		return err
	}
	s.Conns = min(s.Conns, (limit-rest)/each)
	if s.UID != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(s.UID), syscall.Setuid(s.UID)); err != nil {
			return err
		}
	}
	l, err := listen(overTCP)
	if err != nil {
		return err
	}
	s.Up = []string{l.Addr().String()}
	go func() {
		for {
			up, err := accept(l, "") // who is unprivileged may not choose
			if err != nil {
				role.Exit("idle relay", err)
			}
			go func() {
				down, err := dial(overTCP, s.Down[0], "")
				if err == nil {
					err = relayKinds[s.Kind](up.(net.Conn), down.(net.Conn))
				}
				if err != nil {
					role.Exit("idle relay", err)
				}
			}()
		}
	}()
	if err := out.Encode(s); err != nil {
		return err
	}
	for {
		var command string
		if err := in.Decode(&command); err != nil {
			return notEOF(err)
		}
		debug.FreeOSMemory()
		if err := out.Encode(command); err != nil {
			return err
		}
	}
}

func playIdleClients(s spec, in *json.Decoder, out *json.Encoder) error {
	const atOnce = 64 // connections under way
	turns := make(chan struct{}, atOnce)
	failures := make(chan error, s.Conns)
	conns := make([]end, s.Conns)
	var all sync.WaitGroup
	for i := range conns {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			e, err := dial(overTCP, s.Up[0], "")
			if err == nil {
				conns[i] = e
				_, err = e.Write(make([]byte, idleMessage))
			}
			if err == nil {
				_, err = io.ReadFull(e, make([]byte, idleMessage))
			}
			if err != nil {
				failures <- err
			}
		})
	}
	all.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	if err := out.Encode(s); err != nil {
		return err
	}
	err := in.Decode(&s) // until it is over
	runtime.KeepAlive(conns)
	return notEOF(err)
}

func playIdleServers(s spec, in *json.Decoder, out *json.Encoder) error {
	l, err := listen(overTCP)
	if err != nil {
		return err
	}
	s.Down = []string{l.Addr().String()}
	over := make(chan struct{}) // never
	go func() {
		for {
			e, err := accept(l, "")
			if err != nil {
				role.Exit("idle server", err)
			}
			go func() {
				if _, err := io.CopyN(e, e, idleMessage); err != nil {
					role.Exit("idle server", err)
				}
				<-over
				runtime.KeepAlive(e)
			}()
		}
	}()
	if err := out.Encode(s); err != nil {
		return err
	}
	return notEOF(in.Decode(&s))
}
