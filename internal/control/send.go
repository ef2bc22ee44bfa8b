package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Why a process cannot be asked.
var (
	ErrNoProcess = errors.New("no such process")
	ErrNoCopy    = errors.New("is no penstock copy that is running")
	ErrForeign   = errors.New("belongs to another user")
	ErrSilent    = errors.New("gave no answer") // it has come to its end, or is stopped
)

// Error is a process that could not be asked, or that has declined.
type Error struct {
	PID int
	Err error // one of those above, what the process said, a context's, or a system call's
}

func (e *Error) Error() string { return fmt.Sprintf("process %d: %v", e.PID, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Send asks a process, and waits for its answer until the context is done, but for 5 seconds at most. Its error is an
// *Error, also where the process has answered that it has not done it.
func Send(ctx context.Context, pid int, q Request) (Response, error) {
	r, err := send(ctx, pid, q)
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		return r, &Error{pid, err}
	}
	return r, nil
}

func send(ctx context.Context, pid int, q Request) (r Response, err error) {
	if pid <= 0 {
		return r, ErrNoProcess
	}
	if err := q.check(); err != nil {
		return r, fmt.Errorf("request: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, ErrSilent)
	defer cancel()
	c, err := dial(ctx, pid)
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return r, whyNot(pid)
	case err != nil:
		return r, err
	}
	defer c.Close()
	if err := vouched(c, pid); err != nil {
		return r, err
	}
	defer context.AfterFunc(ctx, func() {
		_ = c.SetDeadline(time.Unix(1, 0)) // it is closed, then
	})()
	if err = exchange(c, q, &r); err == nil {
		return r, nil
	}
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return r, whyDropped(c)
	}
	return r, err
}

func exchange(c *net.UnixConn, q Request, r *Response) error {
	b, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	return receive(c, mostResponse, r)
}
