package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The other ends of connections: servers and clients that are not penstock.

// closeWriter is what a connection has that can be half-closed.
type closeWriter interface{ CloseWrite() error }

// exchange sends a file, "" for nothing, says that this was all, and keeps what it gets meanwhile in another, "" for
// nowhere. If the name of the first ends with ",reset", then it resets the connection instead, at once.
func exchange(conn net.Conn, send, keep string) error {
	defer conn.Close()
	send, reset := strings.CutSuffix(send, ",reset")
	sent := make(chan error, 1)
	go func() {
		var b []byte
		var err error
		if send != "" {
			b, err = os.ReadFile(send)
		}
		if err == nil {
			_, err = conn.Write(b)
		}
		if err == nil && !reset {
			err = conn.(closeWriter).CloseWrite()
		}
		sent <- err
	}()
	if reset {
		return errors.Join(<-sent, conn.(*net.TCPConn).SetLinger(0))
	}
	to := io.Discard
	if keep != "" {
		f, err := os.Create(keep)
		if err != nil {
			return err
		}
		defer f.Close()
		to = f
	}
	_, err := io.Copy(to, conn)
	return errors.Join(err, <-sent)
}

// filesFor returns the two files of exchange, of which - stands for none.
func filesFor(ts *testscript.TestScript, args []string) (send, keep string) {
	files := []string{"", ""}
	for i, name := range args {
		switch {
		case name == "-":
		case name == ",reset":
			files[i] = name
		default:
			files[i] = ts.MkAbs(name)
		}
	}
	return files[0], files[1]
}

// listenOnce NAME NETWORK ADDRESS [SEND [KEEP]] listens, and exchanges the files with who connects first. $NAME is
// where it listens.
func listenOnce(ts *testscript.TestScript, _ bool, args []string) {
	name, network, address := args[0], args[1], args[2]
	send, keep := filesFor(ts, args[3:])
	var l net.Listener
	var err error
	if network == "tls" {
		var cert tls.Certificate
		cert, err = tls.LoadX509KeyPair(ts.MkAbs("cert.pem"), ts.MkAbs("key.pem"))
		ts.Check(err)
		l, err = tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{cert}})
	} else {
		if network == "unix" && address[0] != '@' {
			address = ts.MkAbs(address)
		}
		l, err = net.Listen(network, address)
	}
	ts.Check(err)
	ts.Setenv(name, l.Addr().String())
	promise(ts, name, func() error {
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		return exchange(conn, send, keep)
	}, l)
}

// connectTo [-background NAME] NETWORK ADDRESS [SEND [KEEP]] connects, and exchanges the files.
func connectTo(ts *testscript.TestScript, _ bool, args []string) {
	name := ""
	if args[0] == "-background" {
		name, args = args[1], args[2:]
	}
	network, address := args[0], args[1]
	send, keep := filesFor(ts, args[2:])
	var conn net.Conn
	var err error
	switch {
	case network == "tls":
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(ts.ReadFile("cert.pem")))
		conn, err = tls.Dial("tcp", address, &tls.Config{RootCAs: roots})
	case network == "unix" && address[0] != '@':
		conn, err = net.Dial(network, ts.MkAbs(address))
	default:
		conn, err = net.Dial(network, address)
	}
	ts.Check(err)
	_ = conn.SetDeadline(time.Now().Add(patience))
	if name != "" {
		promise(ts, name, func() error { return exchange(conn, send, keep) }, conn)
		return
	}
	ts.Check(exchange(conn, send, keep))
}

// breaks ADDRESS FILE connects, sends the file, and resets the connection.
func breaks(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := net.Dial("tcp", args[0])
	ts.Check(err)
	_, err = conn.Write([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(conn.(*net.TCPConn).SetLinger(0))
	ts.Check(conn.Close())
}

// promise does something beside the script, until finished waits for it. What it waits on is closed at the
// script's end.
func promise(ts *testscript.TestScript, name string, f func() error, on io.Closer) {
	done := make(chan error, 1)
	sceneOf(ts).promises[name] = done
	go func() { done <- f() }()
	ts.Defer(func() { on.Close() })
}

// finished NAME... waits until the server, or the client in the background, has done what it was to do.
func finished(ts *testscript.TestScript, neg bool, names []string) {
	for _, name := range names {
		select {
		case err := <-sceneOf(ts).promises[name]:
			if neg && err == nil {
				ts.Fatalf("%s has not failed", name)
			} else if !neg && err != nil {
				ts.Fatalf("%s: %v", name, err)
			}
		case <-time.After(patience):
			ts.Fatalf("%s does not end", name)
		}
	}
}

// web VAR [tls] serves the script's folder at $VAR, with ranges (but below /norange), and takes uploads to it, of which
// those to /refused are refused. What was asked for is in the file "requests".
func web(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(".")
	var mu sync.Mutex
	log, err := os.Create(ts.MkAbs("requests"))
	ts.Check(err)
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		fmt.Fprintln(log, r.Method, r.RequestURI, r.Header.Get("Range"), r.Header.Get("X-Test"))
		mu.Unlock()
		switch {
		case strings.HasPrefix(r.URL.Path, "/refused"):
			http.Error(w, "not here", http.StatusForbidden)
		case strings.HasPrefix(r.URL.Path, "/norange/"):
			f, err := os.Open(filepath.Join(dir, r.URL.Path[len("/norange/"):]))
			if err != nil {
				http.NotFound(w, r)
				return
			}
			defer f.Close()
			_, _ = io.Copy(w, f) // the client has gone
		case r.Method == http.MethodPut:
			f, err := os.CreateTemp(dir, "upload")
			if err == nil {
				_, err = io.Copy(f, r.Body)
				err = errors.Join(err, f.Close())
			}
			if err == nil { // it is whole
				err = os.Rename(f.Name(), filepath.Join(dir, filepath.Clean(r.URL.Path)))
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusCreated)
		default:
			files.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = stdlog.New(io.Discard, "", 0) // of clients that do not trust us
	if len(args) > 1 {
		cert, err := tls.LoadX509KeyPair(ts.MkAbs("cert.pem"), ts.MkAbs("key.pem"))
		ts.Check(err)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		s.StartTLS()
	} else {
		s.Start()
	}
	ts.Setenv(args[0], s.Listener.Addr().String())
	ts.Defer(func() {
		s.CloseClientConnections()
		s.Close()
		log.Close()
	})
}

// identity writes cert.pem and key.pem: this machine's, signed by itself.
func identity(ts *testscript.TestScript, _ bool, _ []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: private},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}
