package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// The congestion control of a relay's connections to its target is the system's, whatever the client's and the server's
// are. bbr paces, on loopback too, and then the pacing is measured. So everything runs in a network of its own, where
// the system's is what it should be, and where no port is taken. There Linux allows reno always, and others only if
// they are in net.ipv4.tcp_allowed_congestion_control.

const (
	controlFile = "/proc/sys/net/ipv4/tcp_congestion_control"
	inside      = "PENSTOCK_BENCH_NETWORK"
)

func congestionControl() (string, error) {
	b, err := os.ReadFile(controlFile)
	return string(bytes.TrimSpace(b)), err
}

// inNetworkOfItsOwn runs this program once more in such a network, and tells whether it has: then all is done. Who is
// not root has no such thing, which is said if it matters.
func inNetworkOfItsOwn(want string) (done bool, err error) {
	if os.Getenv(inside) != "" {
		return false, setUp(want)
	}
	has, err := congestionControl()
	if err != nil || want == "" || want == has {
		return false, err
	}
	if os.Geteuid() != 0 {
		fmt.Fprintf(os.Stderr, "congestion control stays %s: only root can have a network of its own\n", has)
		return false, nil
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Env = append(os.Environ(), inside+"=own")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := c.Run(); err != nil {
		return true, err
	}
	return true, nil
}

// setUp brings up loopback, and chooses the congestion control.
func setUp(congestion string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return os.NewSyscallError("ioctl", err)
	}
	const ports = "/proc/sys/net/ipv4/ip_local_port_range" // more of them: a short connection keeps two for a minute
	return errors.Join(os.WriteFile(controlFile, []byte(congestion), 0), os.WriteFile(ports, []byte("2000 65535"), 0))
}
