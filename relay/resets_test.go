package relay_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// fill writes until there is no room any more.
func fill(t *testing.T, c *net.TCPConn) {
	t.Helper()
	b := noise(1 << 20)
	for {
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := c.Write(b)
		if err != nil && n == 0 {
			break
		}
	}
	_ = c.SetWriteDeadline(time.Time{})
}

// TestAResetReachesWhoOnlySpeaks: both have said so much that there is no room for more, and neither has read any of it.
// Who is left then finds out as it would without a relay, though there are still bytes for it that it does not take.
func TestAResetReachesWhoOnlySpeaks(t *testing.T) {
	bothWays(t, func(t *testing.T, c relay.Config) {
		for end, targetResets := range map[string]bool{"SD": true, "CD": false} {
			t.Run(end, func(t *testing.T) {
				t.Parallel()
				targets, over := make(chan *net.TCPConn), make(chan struct{})
				c := c
				c.Targets = []relay.Target{{Address: server(t, func(s *net.TCPConn) {
					targets <- s
					<-over
				})}}
				r := run(t, c)
				defer close(over)
				goes := dial(t, r.addr)
				stays := await(t, targets, "the connection, at the target")
				if targetResets {
					goes, stays = stays, goes
				}
				fill(t, goes)
				fill(t, stays)
				reset(goes)
				_ = stays.SetWriteDeadline(time.Now().Add(8 * time.Second))
				if _, err := stays.Write(noise(32 << 20)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("nobody has told it: %v", err)
				}
				if rec := r.ended(t); rec.End != end {
					t.Errorf("%+v", rec)
				}
			})
		}
	})
}
