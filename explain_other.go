//go:build !linux

package penstock

func (c *carriage) tryRefusals()  {}
func (c *carriage) foreseeRelay() { c.t.now.Store(wayPlain) }

func (c *carriage) foreseeOutlet(*outlet, *way) *way { return wayPlain }
