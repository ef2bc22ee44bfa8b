package main

import (
	"context"
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
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// startPeers starts a process that is the peer of all the ends, so that its processor time is not taken for theirs.
// What is returned ends it, and waits for that.
func (b *bench) startPeers() (stop func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "bench-peers")
	cmd.Args[0] = os.Args[0] // under whose name it may do something else
	cmd.Stderr = os.Stderr
	// A Ctrl-C is not its business: it goes when its standard input ends, which it does with this process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	var lent []*os.File // the files of sockets are copies
	defer func() {
		for _, f := range lent {
			f.Close()
		}
	}()
	for _, p := range b.peers {
		role := "drain"
		if p.feed != nil {
			role = "feed"
		}
		end, ok := p.end.(*os.File)
		if !ok {
			if end, err = p.end.(interface{ File() (*os.File, error) }).File(); err != nil {
				return nil, err
			}
			lent = append(lent, end)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, end)
		role += ":" + strconv.Itoa(firstExtraFile+len(cmd.ExtraFiles)-1)
		if p.feed != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, p.feed)
			role += ":" + strconv.Itoa(firstExtraFile+len(cmd.ExtraFiles)-1)
		}
		cmd.Args = append(cmd.Args, role)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.closePeers() // they are the other process's alone: so that closing an end is seen at the other
	return func() {
		life.Close()
		_ = cmd.Wait() // it ends when it is cut off, whatever it calls that
	}, nil
}

// firstExtraFile is the descriptor of the first one of exec.Cmd's ExtraFiles.
const firstExtraFile = 3

// newBenchPeers is what startPeers starts. Its arguments are feed:END:FILE and drain:END, by descriptor.
func newBenchPeers() *cobra.Command {
	return &cobra.Command{
		Use:    "bench-peers ROLE:DESCRIPTOR...",
		Short:  "Feed and drain what bench measures",
		Hidden: true,
		RunE: func(cmd *cobra.Command, roles []string) error {
			var peers []benchPeer
			for _, role := range roles {
				p, err := parsePeer(role)
				if err != nil {
					return &usageError{err}
				}
				peers = append(peers, p)
			}
			return servePeers(cmd.Context(), peers, os.Stdin)
		},
	}
}

func parsePeer(role string) (p benchPeer, err error) {
	parts := strings.Split(role, ":")
	if want := map[string]int{"drain": 2, "feed": 3}[parts[0]]; len(parts) != want {
		return p, fmt.Errorf("role %q: want feed:END:FILE or drain:END", role)
	}
	var files []*os.File
	for _, number := range parts[1:] {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < firstExtraFile {
			return p, fmt.Errorf("role %q: descriptor %q: want a number from %d on", role, number, firstExtraFile)
		}
		unix.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), role))
	}
	p.end = files[0]
	if len(files) > 1 {
		p.feed = files[1]
	}
	if c, err := net.FileConn(files[0]); err == nil { // else it is a pipe
		p.end = c
		files[0].Close()
	}
	return p, nil
}

// servePeers lets all of them do what they do until life ends.
func servePeers(ctx context.Context, peers []benchPeer, life io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for _, p := range peers {
		all.Go(func() {
			_ = p.serve(ctx) // the other end tells what it has come to
			_ = p.end.Close()
		})
	}
	_, err := io.Copy(io.Discard, life)
	cancel()
	all.Wait()
	return err
}

// processorTime returns what this process has used, user and system.
func processorTime() (time.Duration, bool) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// freeSpace returns the bytes that may still be written in a directory.
func freeSpace(dir string) (int64, bool) {
	var st unix.Statfs_t
	for {
		switch err := unix.Statfs(dir, &st); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, false
		default:
			return int64(st.Bavail) * int64(st.Bsize), true
		}
	}
}
