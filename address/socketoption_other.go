//go:build !unix

package address

import (
	"errors"
	"syscall"
)

func setSendBuffer(fd uintptr, n int) error {
	return setIntOption(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, n)
}

func setReceiveBuffer(fd uintptr, n int) error {
	return setIntOption(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, n)
}

func setReusePort(uintptr) error { return errors.ErrUnsupported }

// setSocketMode leaves it to the chmod that follows.
func setSocketMode(uintptr, uint32) error { return nil }

func setIntOption(fd uintptr, level, name, value int) error {
	return syscall.SetsockoptInt(syscall.Handle(fd), level, name, value)
}

// The options of multicast, as Winsock has them.
const (
	levelIPv4, levelIPv6        = syscall.IPPROTO_IP, syscall.IPPROTO_IPV6
	ttlIPv4, multicastTTLIPv4   = syscall.IP_TTL, syscall.IP_MULTICAST_TTL
	hopsIPv6, multicastHopsIPv6 = syscall.IPV6_UNICAST_HOPS, syscall.IPV6_MULTICAST_HOPS
	multicastInterfaceIPv6      = syscall.IPV6_MULTICAST_IF
	multicastInterfaceIPv4      = syscall.IP_MULTICAST_IF
)

func setAddressOption(fd uintptr, level, name int, value [4]byte) error {
	return syscall.SetsockoptInet4Addr(syscall.Handle(fd), level, name, value)
}
