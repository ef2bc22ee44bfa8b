package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// dial connects, for every scheme that has a stream under it.
func (a *Address) dial(ctx context.Context) (net.Conn, error) {
	network, to, err := a.place()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{KeepAlive: a.Options.KeepAlive, Control: a.control}
	d.SetMultipathTCP(false) // TCP is what splice and the socket options are for
	if a.Options.Bind != "" {
		from, err := a.bindTo(ctx)
		if err != nil {
			return nil, &partError{`option "bind"`, err}
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	conn, err := d.DialContext(ctx, network, to)
	if err != nil {
		return nil, err
	}
	return a.tuned(conn), nil
}

// listen is dial of one that listens.
func (a *Address) listen(ctx context.Context) (net.Listener, error) {
	network, at, err := a.place()
	if err != nil {
		return nil, err
	}
	lc := net.ListenConfig{KeepAlive: a.Options.KeepAlive, Control: a.control}
	lc.SetMultipathTCP(false)
	if network == "unix" {
		return a.listenUnix(ctx, &lc)
	}
	return lc.Listen(ctx, network, at)
}

// place returns what package net calls it.
func (a *Address) place() (network, place string, err error) {
	if a.Scheme != Unix && a.Scheme != UnixListen {
		return "tcp", a.HostPort, nil
	}
	if isAbstract(a.Path) && runtime.GOOS != "linux" {
		return "", "", errors.New("only Linux has abstract names; a file with an @ in front is ./" + a.Path)
	}
	if most := len(syscall.RawSockaddrUnix{}.Path) - 1; len(a.Path) > most {
		return "", "", fmt.Errorf("has %d bytes: a socket's path can have %d", len(a.Path), most)
	}
	return "unix", a.Path, nil
}

// isAbstract tells the names that are no files. (unix(7))
func isAbstract(path string) bool { return strings.HasPrefix(path, "@") }

// listenUnix replaces a socket that nobody listens to any more. The listener removes its socket when it is closed.
func (a *Address) listenUnix(ctx context.Context, lc *net.ListenConfig) (net.Listener, error) {
	l, err := lc.Listen(ctx, "unix", a.Path)
	if errors.Is(err, syscall.EADDRINUSE) && !isAbstract(a.Path) {
		if err := removeStale(a.Path); err != nil {
			return nil, err
		}
		l, err = lc.Listen(ctx, "unix", a.Path)
	}
	if err != nil || a.Options.Mode == 0 || isAbstract(a.Path) {
		return l, err
	}
	if err := os.Chmod(a.Path, os.FileMode(a.Options.Mode)); err != nil {
		l.Close()
		return nil, &partError{`option "mode"`, err}
	}
	return l, nil
}

// removeStale removes a socket that is nobody's. It asks by connecting a datagram socket, which whoever listens for
// streams does not notice: the kernel refuses it for its type if there is somebody, and for their absence if not.
func removeStale(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if fi.Mode()&os.ModeSocket == 0 {
		return errors.New("is there already, and is no socket")
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return &busyError{}
	}
	return os.Remove(path)
}

// busyError is EADDRINUSE in words.
type busyError struct{}

func (*busyError) Error() string { return "somebody listens there already" }
func (*busyError) Unwrap() error { return syscall.EADDRINUSE }

// bindTo looks up where to connect from.
func (a *Address) bindTo(ctx context.Context) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(bindHostPort(a.Options.Bind))
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip := netip.IPv6Unspecified()
	if host != "" {
		if ip, err = lookUp(ctx, host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// lookUp returns the first address of a host.
func lookUp(ctx context.Context, host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	return all[0].Unmap(), nil
}

// control sets the options that have to be set before a socket connects or listens: the size of its buffers decides
// what window TCP offers. (tcp(7))
func (a *Address) control(network, _ string, raw syscall.RawConn) error {
	o := &a.Options
	for _, opt := range []struct {
		name string
		set  bool
		do   func(fd uintptr) error
	}{
		{"sndbuf", o.SendBuf > 0, func(fd uintptr) error { return setSendBuffer(fd, int(o.SendBuf)) }},
		{"rcvbuf", o.RecvBuf > 0, func(fd uintptr) error { return setReceiveBuffer(fd, int(o.RecvBuf)) }},
		{"reuseport", o.ReusePort, setReusePort},
		{"mode", o.Mode > 0 && network == "unix", func(fd uintptr) error { return setSocketMode(fd, o.Mode) }},
	} {
		if !opt.set {
			continue
		}
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = opt.do(fd) }); cerr != nil {
			err = cerr
		}
		if err != nil {
			return &partError{`option "` + opt.name + `"`, err}
		}
	}
	return nil
}

// tuned sets what a connection has that there is.
func (a *Address) tuned(conn net.Conn) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok && a.Options.Gather {
		_ = tcp.SetNoDelay(false) // fails only if it is closed
	}
	return conn
}
