package live

import "github.com/penstock-io/penstock/hub"

// hubConfig is what of the server's configuration is a hub's. Which policy Auto comes to is for the hub to say: whether
// a stream has join points shows with its first bytes, and viewers may be there before.
func (c *Config) hubConfig() hub.Config {
	cfg := hub.Config{Ring: c.Ring, OnSlow: c.OnSlow, Limits: c.Limits, NoSplice: c.NoSplice}
	if cfg.OnSlow == hub.Inherit {
		cfg.OnSlow = hub.Auto
	}
	return cfg
}
