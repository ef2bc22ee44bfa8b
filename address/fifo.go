package address

import (
	"context"
	"errors"
)

func (a *Address) openFIFO(context.Context, Role, *Config) (*End, error) {
	return nil, errors.ErrUnsupported
}
