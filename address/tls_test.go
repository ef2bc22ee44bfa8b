package address_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	. "github.com/penstock-io/penstock/address"
)

// certificate makes a certificate for name that signs itself, and returns its file, which has the key, too.
func certificate(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	return write(t, name+".pem", text)
}

func TestTLSCarriesEveryByteEitherWay(t *testing.T) {
	want := stream()
	cert := certificate(t, "camera.example")
	for _, role := range []Role{Source, Destination} {
		l := listen(t, "tls-listen://127.0.0.1:0?cert="+cert, role, Config{})
		peer := "tls://" + l.Addr().String() + "?servername=camera.example&ca=" + cert
		if role == Source {
			got := make(chan []byte, 1)
			wait := meanwhile(func() { got <- drain(t, accept(t, l)) })
			fill(t, open(t, peer, Destination, Config{}), want)
			same(t, <-got, want)
			wait()
		} else {
			wait := meanwhile(func() { fill(t, accept(t, l), want) })
			same(t, drain(t, open(t, peer, Source, Config{})), want)
			wait()
		}
	}
}

func TestWhoIsNotTrustedIsNotSentAByte(t *testing.T) {
	cert, other := certificate(t, "camera.example"), certificate(t, "other.example")
	var said []string
	a := parse(t, "tls-listen://127.0.0.1:0?accept=0&cert="+cert)
	l, err := a.Listen(within(t), Source, Config{Say: func(text string) { said = append(said, text) }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().String()
	got := make(chan []byte, 1)
	done := meanwhile(func() { got <- drain(t, accept(t, l)) })
	fails(t, "tls://"+at+"?retry=1m", Destination, `handshake: tls: failed to verify certificate: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs`)
	fails(t, "tls://"+at+"?servername=camera.example", Destination, `handshake: tls: failed to verify certificate: x509: certificate signed by unknown authority`)
	fails(t, "tls://"+at+"?servername=camera.example&ca="+other, Destination, `handshake: tls: failed to verify certificate: x509: certificate signed by unknown authority`)
	// None of these was a connection to who listens; this one is.
	fill(t, open(t, "tls://"+at+"?insecure", Destination, Config{}), []byte("hello"))
	same(t, <-got, []byte("hello"))
	done()
	if len(said) != 4 || !strings.Contains(said[3], ": handshake: remote error: tls: ") || !strings.HasSuffix(said[3], "; waiting for another") {
		t.Errorf("%q", said)
	}
}

func TestAClientWithoutACertificateIsRefused(t *testing.T) {
	cert, client := certificate(t, "camera.example"), certificate(t, "client.example")
	l := listen(t, "tls-listen://127.0.0.1:0?cert="+cert+"&ca="+client, Source, Config{})
	got := make(chan []byte, 1)
	defer meanwhile(func() { got <- drain(t, accept(t, l)) })()
	// With TLS 1.3 the client learns of it only behind its own handshake.
	e := open(t, "tls://"+l.Addr().String()+"?insecure", Destination, Config{})
	_, err := e.Writer.Write([]byte("x"))
	if err == nil {
		err = e.Finish(within(t))
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Error(err)
	}
	fill(t, open(t, "tls://"+l.Addr().String()+"?insecure&cert="+client, Destination, Config{}), []byte("hello"))
	same(t, <-got, []byte("hello"))
}

func TestACutInTheMiddleOfTLSIsNoEnd(t *testing.T) {
	l := listen(t, "tls-listen://127.0.0.1:0?cert="+certificate(t, "x"), Destination, Config{})
	defer meanwhile(func() {
		e := accept(t, l)
		if _, err := e.Writer.Write([]byte("half")); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})()
	e := open(t, "tls://"+l.Addr().String()+"?insecure", Source, Config{})
	if _, err := penstock.Copy(within(t), io.Discard, e.Reader); err == nil {
		t.Error("is taken for the end")
	}
}

// TestTLSThatEndsWithoutAGoodbyeIsNoEnd although it ends between two records: whoever sent it may have been killed.
func TestTLSThatEndsWithoutAGoodbyeIsNoEnd(t *testing.T) {
	cert := certificate(t, "camera.example")
	pair, err := tls.LoadX509KeyPair(cert, cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, goodbye := range []bool{true, false} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		wait := meanwhile(func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}})
			if _, err := s.Write([]byte("whole records")); err != nil {
				t.Error(err)
			}
			if goodbye {
				if err := s.CloseWrite(); err != nil {
					t.Error(err)
				}
			}
		})
		e := open(t, "tls://"+l.Addr().String()+"?servername=camera.example&ca="+cert, Source, Config{})
		b, err := io.ReadAll(e.Reader)
		if string(b) != "whole records" || errors.Is(err, io.ErrUnexpectedEOF) == goodbye || goodbye && err != nil {
			t.Errorf("goodbye %v: %q, %v", goodbye, b, err)
		}
		wait()
		l.Close()
	}
}

func TestAHandshakeThatHangsIsCut(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	isCut(t, "tls://"+mute.Addr().String(), Source)
	fails(t, "tls://"+mute.Addr().String()+"?timeout=30ms", Source, "timed out after 30ms")
	l := listen(t, "tls-listen://127.0.0.1:0?timeout=30ms&cert="+certificate(t, "x"), Source, Config{})
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := l.Accept(within(t)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestAProtocolIsAgreedOn(t *testing.T) {
	l := listen(t, "tls-listen://127.0.0.1:0?alpn=b,a&cert="+certificate(t, "x"), Source, Config{})
	defer meanwhile(func() { accept(t, l) })()
	e := open(t, "tls://"+l.Addr().String()+"?insecure&alpn=a,c", Destination, Config{})
	if got := e.Writer.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "a" {
		t.Error(got)
	}
}

func TestACertificateThatCannotBeReadIsNamed(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	empty := write(t, "empty", nil)
	for option, want := range map[string]string{
		"cert=" + none:                   `option "cert" "` + none + `": no such file or directory`,
		"cert=" + empty:                  `option "cert" "` + empty + `": tls: failed to find any PEM data in certificate input`,
		"ca=" + none:                     `option "ca" "` + none + `": no such file or directory`,
		"ca=" + empty:                    `option "ca" "` + empty + `": has no certificate in PEM`,
		"cert=" + empty + "&key=" + none: `option "key" "` + none + `": no such file or directory`,
	} {
		fails(t, "tls://"+closedPort(t)+"?retry=1m&"+option, Source, want)
	}
	if !slices.Contains(TLS.Options(), "ca") {
		t.Error(TLS.Options())
	}
}

func TestWhoAcceptsByHimselfGetsTheListenerAndWhomToTrust(t *testing.T) {
	cert := certificate(t, "db.example")
	a := parse(t, "tls-listen://127.0.0.1:0?cert="+cert)
	l, err := a.NetListener(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server, err := a.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	wait := meanwhile(func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		if _, bare := conn.(*net.TCPConn); !bare {
			t.Errorf("accepts a %T, want what can be spliced", conn)
		}
		s := tls.Server(conn, server)
		defer s.Close()
		if _, err := s.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
	})
	client, err := parse(t, "tls://"+l.Addr().String()+"?servername=db.example&ca="+cert).TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	wait()

	a = parse(t, "tcp://db:1")
	_, err = a.TLSConfig()
	says(t, a, err, "speaks no TLS")
	_, err = a.NetListener(within(t))
	says(t, a, err, "does not listen for connections")
	a = parse(t, "tls://db:1?ca=nowhere.pem")
	_, err = a.TLSConfig()
	says(t, a, err, `option "ca" "nowhere.pem": no such file or directory`)
}
