package address

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
)

// put opens a destination. The server is asked first whether it wants the upload, so that most refusals come before a
// byte has gone.
func (a *Address) put(ctx context.Context) (*End, error) {
	u := &upload{pipe: penstock.NewPipe(0), begun: make(chan struct{}), answered: make(chan struct{})}
	x, req, opened, err := a.request(ctx, http.MethodPut, u)
	if err != nil {
		u.pipe.Close()
		return nil, err
	}
	u.exchange = x
	req.Header.Set("Expect", "100-continue")
	go u.send(req)
	select {
	case <-u.begun:
		opened()
	case <-u.answered:
		if u.failure != nil {
			u.abandon()
			return nil, u.failure
		}
		opened() // a server that wants none of it, and is content
	}
	e := endOf(nil, u.pipe, u)
	e.Peer = req.URL.Host
	return e, nil
}

// errCut ends the body of an upload that is given up.
var errCut = errors.New("the upload was given up")

// upload is a PUT whose body is what is written to a pipe.
type upload struct {
	*exchange
	pipe  *penstock.Pipe
	begin sync.Once
	begun chan struct{} // closed when the body is wanted

	answered chan struct{}
	failure  error // once answered is closed: why it came to nothing
}

func (u *upload) send(req *http.Request) {
	defer close(u.answered)
	resp, err := u.client.Do(req)
	if err != nil {
		u.failure = webError(err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		u.failure = answer(resp)
	}
}

// Read is the request's body.
func (u *upload) Read(b []byte) (int, error) {
	u.begin.Do(func() { close(u.begun) })
	return u.pipe.Read(b)
}

// Close is for when the request wants no more of its body: what is written then fails.
func (u *upload) Close() error { return u.pipe.CloseRead() }

func (u *upload) finish(ctx context.Context) error {
	defer u.abandon()
	_ = u.pipe.CloseWrite() // never fails
	select {
	case <-u.answered:
		return u.failure
	case <-ctx.Done():
		return withOp("waiting for the server's answer", context.Cause(ctx))
	}
}

// giveUp cuts the upload: without its last chunk no server takes it for whole. An answer that has come meanwhile is why
// there is something to give up.
func (u *upload) giveUp() error {
	defer u.abandon()
	timer := time.NewTimer(grace / 20)
	defer timer.Stop()
	select {
	case <-u.answered:
		return u.failure
	case <-timer.C:
		return nil
	}
}

// abandon ends the request in whatever state it is, and gives the pipe's memory back.
//
// The body ends with an error, first: the request waits for a Read of it, and after an end would look whole.
func (u *upload) abandon() {
	_ = u.pipe.CloseWithError(errCut) // never fails
	u.over()
	<-u.answered
	u.pipe.Close()
}

func (u *upload) closeWrite() error { return u.pipe.CloseWrite() }

var _ io.ReadCloser = (*upload)(nil)
