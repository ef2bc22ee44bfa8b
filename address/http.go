package address

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// expectTime is how long a server is waited for that was asked whether it wants an upload.
const expectTime = time.Second

// exchange is one request, on a connection of its own.
type exchange struct {
	client *http.Client
	cancel context.CancelFunc
}

func (x *exchange) over() {
	x.cancel()
	x.client.CloseIdleConnections()
}

// request begins an exchange. ctx bounds it until opened is called; it goes on after that.
func (a *Address) request(ctx context.Context, method string, body io.Reader) (
	x *exchange, req *http.Request, opened func(), err error,
) {
	trust, err := a.trust("")
	if err != nil {
		return nil, nil, nil, &finalError{err}
	}
	if trust.NextProtos == nil {
		trust.NextProtos = []string{"http/1.1"}
	}
	dialer := net.Dialer{}
	dialer.SetMultipathTCP(false)
	x = &exchange{client: &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       trust,
		DisableCompression:    true, // the bytes are wanted as they are
		DisableKeepAlives:     true,
		ExpectContinueTimeout: expectTime,
	}}}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	x.cancel = cancel
	stop := context.AfterFunc(ctx, cancel)
	req, err = http.NewRequestWithContext(own, method, a.URL, body)
	if err != nil {
		x.over()
		return nil, nil, nil, &finalError{err}
	}
	req.Header.Set("User-Agent", "penstock")
	for _, h := range a.Options.Header {
		name, value, _ := strings.Cut(h, ":")
		if value = strings.TrimSpace(value); strings.EqualFold(name, "Host") {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	return x, req, func() { stop() }, nil
}

// get opens a source.
func (a *Address) get(ctx context.Context, c *Config) (*End, error) {
	x, req, opened, err := a.request(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	if c.Offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", c.Offset))
	}
	resp, err := x.client.Do(req)
	if err != nil {
		x.over()
		return nil, webError(err)
	}
	opened()
	e := endOf(resp.Body, nil, &downloadEnding{x, resp.Body})
	e.Peer, e.Size = req.URL.Host, resp.ContentLength
	switch {
	case resp.StatusCode == http.StatusPartialContent && c.Offset > 0 && beginsAt(resp, c.Offset):
		return e, nil
	case resp.StatusCode == http.StatusOK:
		e.Skip = c.Offset
		return e, nil
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && c.Offset > 0 &&
		resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", c.Offset): // all of it is there already
		e.Reader, e.Size = strings.NewReader(""), 0
		return e, nil
	}
	err = answer(resp)
	_ = e.ending.giveUp()
	return nil, err
}

// beginsAt tells whether it is the range that was asked for.
func beginsAt(resp *http.Response, offset int64) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(offset, 10)+"-")
}

// downloadEnding ends a GET.
type downloadEnding struct {
	*exchange
	body io.Closer
}

func (d *downloadEnding) finish(context.Context) error { return d.giveUp() }

func (d *downloadEnding) giveUp() error {
	d.over() // first: else Close would read what is left of a short answer
	d.body.Close()
	return nil
}

func (d *downloadEnding) closeWrite() error { return nil }

// answerError is an answer other than was hoped for.
type answerError struct {
	status string // such as "404 Not Found"
	to     string // where it sends us instead
	said   string // the first line of what it says, if that is text
}

func (e *answerError) Error() string {
	s := "the server answers " + e.status
	if e.to != "" {
		s += " to " + e.to
	}
	if e.said != "" {
		s += ": " + e.said
	}
	return s
}

// answer makes an error of an answer that is not 2xx. Another attempt may help where a server, or what it stands for,
// is not ready.
func answer(resp *http.Response) error {
	e := &answerError{status: resp.Status, to: resp.Header.Get("Location")}
	if resp.StatusCode/100 != 3 {
		e.to = ""
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && kind == "text/plain" {
		line, _ := bufio.NewReader(io.LimitReader(resp.Body, 200)).ReadString('\n')
		e.said = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == 0xfffd {
				return -1
			}
			return r
		}, line)
		if e.said == http.StatusText(resp.StatusCode) {
			e.said = ""
		}
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return e
	default:
		return &finalError{e}
	}
}

// webError takes off the URL that net/http puts in front, and tells what another attempt does not change.
func webError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op != "remote error" || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return &finalError{err}
}
