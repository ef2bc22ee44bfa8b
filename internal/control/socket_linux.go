package control

import (
	"context"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func abstract(pid int) string { return "@penstock-" + strconv.Itoa(pid) }

func listen(pid int) (*net.UnixListener, error) {
	return net.ListenUnix("unix", &net.UnixAddr{Name: abstract(pid), Net: "unix"})
}

func dial(ctx context.Context, pid int) (*net.UnixConn, error) {
	var d net.Dialer
	return d.DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: abstract(pid), Net: "unix"})
}

// peer is who has connected, or listens, when it did so.
func peer(c *net.UnixConn) (who *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(fd uintptr) {
		who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if cerr != nil {
		return nil, cerr
	}
	return who, err
}

// trusted tells whether a client may ask us: it is ours, or root's.
func trusted(c *net.UnixConn) bool {
	who, err := peer(c)
	return err == nil && (who.Uid == 0 || int(who.Uid) == os.Geteuid())
}

// vouched is nil if it is that process that we have connected to, and one that we may ask. A name in the abstract
// namespace is anybody's who is first.
func vouched(c *net.UnixConn, pid int) error {
	who, err := peer(c)
	switch us := os.Geteuid(); {
	case err != nil:
		return err
	case int(who.Pid) != pid:
		return whyNot(pid)
	case us != 0 && who.Uid != 0 && int(who.Uid) != us:
		return ErrForeign
	}
	return nil
}

// whyDropped is why there was no answer: root's process does not talk to us, or it has come to its end.
func whyDropped(c *net.UnixConn) error {
	if who, err := peer(c); err == nil && os.Geteuid() != 0 && int(who.Uid) != os.Geteuid() {
		return ErrForeign
	}
	return ErrSilent
}
