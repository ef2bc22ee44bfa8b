package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"time"
)

// Every so many viewers one is on TLS 1.3, with the cipher that both sides like best on this machine.

// encrypted tells whether the viewer with that number is on TLS.
func (s runSpec) encrypted(viewer int) bool { return s.TLS > 0 && viewer%s.TLS == 0 }

// serverConfig has a certificate of its own, which nobody knows.
func serverConfig() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true, // nobody comes again
	}, nil
}

func clientConfig() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // it measures, and has no secrets
}

// handshake returns the connection on TLS, as soon as both sides agree.
func handshake(c *net.TCPConn, config *tls.Config, end func(net.Conn, *tls.Config) *tls.Conn) (net.Conn, error) {
	t := end(c, config)
	if err := t.Handshake(); err != nil {
		return nil, err
	}
	return t, nil
}
