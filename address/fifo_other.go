//go:build !unix

package address

import (
	"context"
	"errors"
)

// openFIFO has nothing to open: there are no FIFOs with a name here.
func (a *Address) openFIFO(context.Context, Role, *Config) (*End, error) {
	return nil, errors.New("there are no FIFOs on this system")
}
