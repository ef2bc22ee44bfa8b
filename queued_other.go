//go:build !linux

package penstock

// accept takes a parcel into the hand, which is empty.
func (c *carriage) accept(p *parcel) {
	c.buf, c.bytes = p.buf, p.bytes
	c.t.now.Store(wayQueue)
}

var wayQueue = &way{path: PathReadWrite, from: "its queue"}

func (p *parcel) joinPipe(*parcel) bool { return false }
