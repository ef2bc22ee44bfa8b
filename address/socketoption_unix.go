//go:build unix

package address

import "golang.org/x/sys/unix"

func setSendBuffer(fd uintptr, n int) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, n)
}

func setReceiveBuffer(fd uintptr, n int) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, n)
}

func setReusePort(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// setSocketMode is for before the socket gets its file, which then never has more permissions. Where that cannot be
// done the chmod that follows does it.
func setSocketMode(fd uintptr, mode uint32) error {
	_ = unix.Fchmod(int(fd), mode)
	return nil
}

func setIntOption(fd uintptr, level, name, value int) error {
	return unix.SetsockoptInt(int(fd), level, name, value)
}

// The options of multicast. (ip(7), ipv6(7))
const (
	levelIPv4, levelIPv6        = unix.IPPROTO_IP, unix.IPPROTO_IPV6
	ttlIPv4, multicastTTLIPv4   = unix.IP_TTL, unix.IP_MULTICAST_TTL
	hopsIPv6, multicastHopsIPv6 = unix.IPV6_UNICAST_HOPS, unix.IPV6_MULTICAST_HOPS
	multicastInterfaceIPv6      = unix.IPV6_MULTICAST_IF
	multicastInterfaceIPv4      = unix.IP_MULTICAST_IF
)

func setAddressOption(fd uintptr, level, name int, value [4]byte) error {
	return unix.SetsockoptInet4Addr(int(fd), level, name, value)
}
