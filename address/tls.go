package address

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
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
	config, err := a.trust(host)
	if err != nil {
		return nil, &finalError{err}
	}
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	t := tls.Client(conn, config)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, handshakeFailed(err)
	}
	return t, nil
}

// handshakeFailed tells a connection that broke from a peer that was not accepted, or did not accept us.
func handshakeFailed(err error) error {
	if err == io.EOF {
		return withOp("handshake", io.ErrUnexpectedEOF)
	}
	var op *net.OpError
	if errors.Is(err, syscall.ECONNRESET) && errors.As(err, &op) {
		return withOp("handshake", op.Err)
	}
	return &finalError{withOp("handshake", err)}
}

// trust makes of the options what a client of host expects.
func (a *Address) trust(host string) (*tls.Config, error) {
	o := &a.Options
	c := &tls.Config{ServerName: host, InsecureSkipVerify: o.Insecure, NextProtos: o.ALPN}
	if o.ServerName != "" {
		c.ServerName = o.ServerName
	}
	if c.ServerName == "" {
		c.ServerName = "localhost" // as package net has it
	}
	var err error
	if o.Cert != "" {
		if c.Certificates, err = o.certificate(); err != nil {
			return nil, err
		}
	}
	if o.CA != "" {
		c.RootCAs, err = o.authorities()
	}
	return c, err
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
		return nil, &partError{`option "cert" ` + quoted(o.Cert), err}
	}
	key, name := cert, o.Cert
	if o.Key != "" {
		name = o.Key
		if key, err = os.ReadFile(name); err != nil {
			return nil, &partError{`option "key" ` + quoted(name), err}
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &partError{`option "cert" ` + quoted(o.Cert), err}
	}
	return []tls.Certificate{pair}, nil
}

// authorities reads ?ca.
func (o *Options) authorities() (*x509.CertPool, error) {
	part := `option "ca" ` + quoted(o.CA)
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
