package address

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

const (
	// wholeDatagrams is what fits into one packet nearly everywhere, tunnels included.
	wholeDatagrams = 1400
	// largestDatagram is what a read has to have room for.
	largestDatagram = 65535
)

// dialUDP makes a socket that sends to one peer, and receives from that one only.
func (a *Address) dialUDP(ctx context.Context, c *Config) (*End, error) {
	d := net.Dialer{Control: a.control}
	if a.Options.Bind != "" {
		from, err := a.bindTo(ctx)
		if err != nil {
			return nil, &partError{`option "bind"`, err}
		}
		d.LocalAddr = net.UDPAddrFromAddrPort(from)
	}
	dialled, err := d.DialContext(ctx, "udp", a.HostPort)
	if err != nil {
		return nil, err
	}
	conn := dialled.(*net.UDPConn)
	if err := a.aim(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return datagrams(conn, &a.Options, c), nil
}

// listenUDP makes a socket that receives from everybody, or what is sent to a group.
func (a *Address) listenUDP(ctx context.Context, c *Config) (*End, error) {
	host, _, err := splitHostPort(a.HostPort)
	if err != nil {
		return nil, err
	}
	group := netip.Addr{}
	if host != "" {
		if group, err = lookUp(ctx, host); err != nil {
			return nil, err
		}
	}
	var conn *net.UDPConn
	if group.IsMulticast() {
		conn, err = a.join(group)
	} else {
		lc := net.ListenConfig{Control: a.control}
		var packets net.PacketConn
		if packets, err = lc.ListenPacket(ctx, "udp", a.HostPort); err == nil {
			conn = packets.(*net.UDPConn)
		}
	}
	if err != nil {
		return nil, err
	}
	c.say("listening on %s", conn.LocalAddr())
	return datagrams(conn, &a.Options, c), nil
}

// join joins a group on ?interface, or where the system has its route.
func (a *Address) join(group netip.Addr) (*net.UDPConn, error) {
	_, port, err := net.SplitHostPort(a.HostPort)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	on, err := a.multicastInterface()
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenMulticastUDP("udp", on, net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, uint16(n))))
	if err != nil {
		return nil, err
	}
	if size := a.Options.RecvBuf; size > 0 {
		if err := conn.SetReadBuffer(int(size)); err != nil {
			conn.Close()
			return nil, &partError{`option "rcvbuf"`, err}
		}
	}
	return conn, nil
}

// multicastInterface returns nil if it is the system's choice.
func (a *Address) multicastInterface() (*net.Interface, error) {
	if a.Options.Interface == "" {
		return nil, nil
	}
	name := a.Options.Interface
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, &partError{`option "interface" ` + strconv.Quote(name), errors.New("there is no such interface")}
	}
	return i, nil
}

// aim sets how far datagrams go, and through which interface those to a group do.
func (a *Address) aim(conn *net.UDPConn) error {
	to := conn.RemoteAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if err := a.setHops(conn, to); err != nil {
		return &partError{`option "ttl"`, err}
	}
	on, err := a.multicastInterface()
	if err != nil || on == nil {
		return err
	}
	if err := setInterface(conn, to, on); err != nil {
		return &partError{`option "interface" ` + strconv.Quote(on.Name), err}
	}
	return nil
}

func (a *Address) setHops(conn *net.UDPConn, to netip.Addr) error {
	if a.Options.TTL == 0 {
		return nil
	}
	level, name := levelIPv4, ttlIPv4
	switch {
	case to.Is4() && to.IsMulticast():
		name = multicastTTLIPv4
	case to.Is6() && to.IsMulticast():
		level, name = levelIPv6, multicastHopsIPv6
	case to.Is6():
		level, name = levelIPv6, hopsIPv6
	}
	return onSocket(conn, func(fd uintptr) error { return setIntOption(fd, level, name, a.Options.TTL) })
}

func setInterface(conn *net.UDPConn, to netip.Addr, on *net.Interface) error {
	if to.Is6() {
		return onSocket(conn, func(fd uintptr) error {
			return setIntOption(fd, levelIPv6, multicastInterfaceIPv6, on.Index)
		})
	}
	all, err := on.Addrs()
	if err != nil {
		return err
	}
	for _, addr := range all {
		if ip, ok := addr.(*net.IPNet); ok && ip.IP.To4() != nil {
			own := [4]byte(ip.IP.To4())
			return onSocket(conn, func(fd uintptr) error {
				return setAddressOption(fd, levelIPv4, multicastInterfaceIPv4, own)
			})
		}
	}
	return errors.New("has no IPv4 address")
}

func onSocket(conn *net.UDPConn, do func(fd uintptr) error) (err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = do(fd) }); cerr != nil {
		return cerr
	}
	return err
}

// datagrams makes an end of a socket, which it takes over.
func datagrams(conn *net.UDPConn, o *Options, c *Config) *End {
	w := &datagramWriter{conn: conn, size: o.Packet}
	e := endOf(&datagramReader{conn: conn}, w, &datagramEnding{conn, w})
	e.Skip = c.Offset
	if peer := conn.RemoteAddr(); peer != nil {
		e.Peer = peer.String()
	}
	return e
}

// datagramReader makes a stream of datagrams. It hides the descriptor: a read of that with too little room would lose
// the rest of a datagram.
type datagramReader struct {
	conn *net.UDPConn
	buf  []byte
	rest []byte // of the datagram that has been read last
}

func (d *datagramReader) Read(b []byte) (n int, err error) {
	switch {
	case len(b) == 0:
		return 0, nil
	case len(d.rest) > 0:
		n = copy(b, d.rest)
		d.rest = d.rest[n:]
		return n, nil
	}
	if d.buf == nil {
		d.buf = make([]byte, largestDatagram)
	}
	for n == 0 && err == nil { // one that is empty is no end
		if len(b) >= largestDatagram {
			n, err = d.conn.Read(b)
			continue
		}
		var whole int
		whole, err = d.conn.Read(d.buf)
		n = copy(b, d.buf[:whole])
		d.rest = d.buf[n:whole]
	}
	return n, err
}

// SetReadDeadline is the socket's.
func (d *datagramReader) SetReadDeadline(t time.Time) error { return d.conn.SetReadDeadline(t) }

// datagramWriter makes datagrams of a stream: of size bytes each, or, if that is 0, of each write, cut where it is too
// long.
type datagramWriter struct {
	conn *net.UDPConn
	size int
	held []byte // less than size, which have been taken and not sent
}

// send sends one datagram. That nobody receives it is no error, as it is none where nothing says so: a receiver may come
// later, or come back. What ECONNREFUSED tells of is a datagram before this one, which has not been sent then.
func (d *datagramWriter) send(b []byte) (int, error) {
	for range 2 {
		if n, err := d.conn.Write(b); !errors.Is(err, syscall.ECONNREFUSED) {
			return n, err
		}
	}
	return len(b), nil
}

func (d *datagramWriter) Write(b []byte) (taken int, err error) {
	for taken < len(b) {
		rest := b[taken:]
		var n int
		switch {
		case d.size == 0:
			n, err = d.send(rest[:min(len(rest), wholeDatagrams)])
		case len(d.held) == 0 && len(rest) >= d.size:
			n, err = d.send(rest[:d.size])
		default:
			before := len(d.held)
			n = min(len(rest), d.size-before)
			if d.held = append(d.held, rest[:n]...); len(d.held) == d.size {
				if err = d.flush(); err != nil {
					d.held, n = d.held[:before], 0
				}
			}
		}
		taken += n
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// flush sends what is held, as the datagram that it has become.
func (d *datagramWriter) flush() error {
	if len(d.held) == 0 {
		return nil
	}
	_, err := d.send(d.held)
	if err == nil {
		d.held = d.held[:0]
	}
	return err
}

// SetWriteDeadline is the socket's.
func (d *datagramWriter) SetWriteDeadline(t time.Time) error { return d.conn.SetWriteDeadline(t) }

// datagramEnding ends a socket whose peer is not told of ends.
type datagramEnding struct {
	conn   *net.UDPConn
	writer *datagramWriter
}

func (d *datagramEnding) finish(context.Context) error {
	return firstOf(d.writer.flush(), closed(d.conn))
}
func (d *datagramEnding) giveUp() error     { return closed(d.conn) }
func (d *datagramEnding) closeWrite() error { return d.writer.flush() }
