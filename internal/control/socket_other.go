//go:build !unix

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
)

var errUnsupported = fmt.Errorf("changing a copy that runs: %w on %s", errors.ErrUnsupported, runtime.GOOS)

func listen(int) (*net.UnixListener, error) { return nil, errUnsupported }

func dial(context.Context, int) (*net.UnixConn, error) { return nil, errUnsupported }

func trusted(*net.UnixConn) bool { return false }

func vouched(*net.UnixConn, int) error { return errUnsupported }

func whyNot(int) error { return errUnsupported }

func whyDropped(*net.UnixConn) error { return ErrSilent }
