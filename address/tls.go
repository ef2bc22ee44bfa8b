package address

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// handshakeTime is what a client has for its handshake, so that one that says nothing does not keep out the others.
const handshakeTime = 10 * time.Second

// dialTLS connects, and makes sure of the peer.
func (a *Address) dialTLS(ctx context.Context) (net.Conn, error) {
	host, _, err := splitHostPort(a.HostPort)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "localhost" // as package net has it
	}
	config, err := a.trust(host)
	if err != nil {
		return nil, &finalError{err}
	}
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	t := tls.Client(&witness{Conn: conn}, config)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, handshakeFailed(err)
	}
	return t, nil
}

// witness is a connection under TLS, and notes whether that has ended. A peer with TLS says goodbye before: without that
// it may have been killed, or somebody in between has cut it short. Package tls takes either for an end.
type witness struct {
	net.Conn
	ended atomic.Bool
}

func (w *witness) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err == io.EOF {
		w.ended.Store(true)
	}
	return n, err
}

// under returns what a connection goes through: itself if it has no TLS.
func under(conn net.Conn) net.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		return t.NetConn().(*witness).Conn
	}
	return conn
}

// untilGoodbye reads what comes with TLS, to an end that the peer has meant.
type untilGoodbye struct{ conn *tls.Conn }

func (u *untilGoodbye) Read(b []byte) (int, error) {
	n, err := u.conn.Read(b)
	if err == io.EOF && u.conn.NetConn().(*witness).ended.Load() {
		err = errNoGoodbye
	}
	return n, err
}

func (u *untilGoodbye) SetReadDeadline(t time.Time) error { return u.conn.SetReadDeadline(t) }

var errNoGoodbye = fmt.Errorf("the connection ended without TLS's goodbye, and may have been cut: %w", io.ErrUnexpectedEOF)

// handshakeFailed tells a connection that broke from a peer that was not accepted, or did not accept us.
func handshakeFailed(err error) error {
	if err == io.EOF {
		return withOp("handshake", io.ErrUnexpectedEOF)
	}
	_, cause := bare(err)
	if cause = withOp("handshake", cause); errors.Is(err, syscall.ECONNRESET) {
		return cause
	}
	return &finalError{cause}
}

// TLSConfig reads what the options of tls:// or tls-listen:// say, and the files that they name: whom to trust, and who we
// are. It is for who connects or accepts by other means than Open and Listen. Its error is an *Error.
func (a Address) TLSConfig() (c *tls.Config, err error) {
	switch a.Scheme {
	case TLSListen:
		c, err = a.serverTrust()
	case TLS:
		var host string
		if host, _, err = splitHostPort(a.HostPort); err == nil {
			c, err = a.trust(cmp.Or(host, "localhost"))
		}
	default:
		err = errors.New("speaks no TLS")
	}
	if err != nil {
		return nil, a.failed(err)
	}
	return c, nil
}

// trust makes of the options what a client of host expects; net/http fills in a host that is empty.
func (a *Address) trust(host string) (*tls.Config, error) {
	o := &a.Options
	c := &tls.Config{ServerName: host, InsecureSkipVerify: o.Insecure, NextProtos: o.ALPN}
	if o.ServerName != "" {
		c.ServerName = o.ServerName
	}
	if o.Cert != "" {
		var err error
		if c.Certificates, err = o.certificate(); err != nil {
			return nil, err
		}
	}
	if o.CA != "" {
		var err error
		if c.RootCAs, err = o.authorities(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// serverTrust is trust of one that listens: with ?ca its clients need a certificate.
func (a *Address) serverTrust() (*tls.Config, error) {
	o := &a.Options
	c := &tls.Config{NextProtos: o.ALPN}
	var err error
	if c.Certificates, err = o.certificate(); err != nil {
		return nil, err
	}
	if o.CA != "" {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs, err = o.authorities()
	}
	return c, err
}

// certificate reads ?cert and ?key.
func (o *Options) certificate() ([]tls.Certificate, error) {
	cert, err := os.ReadFile(o.Cert)
	if err != nil {
		return nil, &partError{`option "cert" ` + strconv.Quote(o.Cert), err}
	}
	key := cert
	if o.Key != "" {
		if key, err = os.ReadFile(o.Key); err != nil {
			return nil, &partError{`option "key" ` + strconv.Quote(o.Key), err}
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &partError{`option "cert" ` + strconv.Quote(o.Cert), err}
	}
	return []tls.Certificate{pair}, nil
}

// authorities reads ?ca.
func (o *Options) authorities() (*x509.CertPool, error) {
	part := `option "ca" ` + strconv.Quote(o.CA)
	text, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, &partError{part, err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, &partError{part, errors.New("has no certificate in PEM")}
	}
	return pool, nil
}
