//go:build !linux

package relay

import "net"

// unacknowledged is not known here.
func unacknowledged(*net.TCPConn) (n int, known bool) { return 0, false }
