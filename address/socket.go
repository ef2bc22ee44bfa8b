package address

import (
	"context"
	"net"
)

// dial connects.
func (a *Address) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", a.HostPort)
}
