package address

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Scheme says how an address is opened.
type Scheme string

// The schemes.
const (
	Stdio      Scheme = "-"
	FD         Scheme = "fd"
	File       Scheme = "file"
	FIFO       Scheme = "fifo"
	TCP        Scheme = "tcp"
	TCPListen  Scheme = "tcp-listen"
	Unix       Scheme = "unix"
	UnixListen Scheme = "unix-listen"
	TLS        Scheme = "tls"
	TLSListen  Scheme = "tls-listen"
	UDP        Scheme = "udp"
	UDPListen  Scheme = "udp-listen"
	HTTP       Scheme = "http"
	HTTPS      Scheme = "https"
	Exec       Scheme = "exec"
	Null       Scheme = "null"
	Zero       Scheme = "zero"
	Random     Scheme = "random"
)

// Address is one parsed address: its scheme, the one field that its scheme has, and its options.
type Address struct {
	Scheme Scheme

	FD       int    // of fd
	Path     string // of file, fifo, unix and unix-listen, decoded
	HostPort string // of tcp, tls, udp and those that listen, as package net takes it
	URL      string // of http and https, without our options
	Command  string // of exec, for the shell

	Options Options
}

// Options is what stood behind the question mark. The zero value is none.
type Options struct {
	// OnSlow is what becomes of a slow destination among several: block, skip, disconnect, or empty for block. Whoever
	// copies heeds it.
	OnSlow string

	Append bool   // file: every write goes to its end
	Offset int64  // file: begin so many bytes in; nothing of a destination is cut off then
	Direct bool   // file: past the page cache
	Sync   bool   // file: Finish waits until it is on the disk
	Excl   bool   // file: it must not be there yet
	Mode   uint32 // file and fifo: the permissions of one that is made, less the umask; 0 is 0666
	Create bool   // fifo: make it if it is not there

	Timeout   time.Duration // of each attempt to open: connect, handshake, first connection, answer; 0 is none
	Retry     time.Duration // keep trying to open for so long; 0 is one attempt
	Bind      string        // HOST or HOST:PORT to connect from
	SendBuf   int64         // of the socket, bytes; 0 is what the system gives
	RecvBuf   int64         // likewise
	Gather    bool          // nodelay=false: small writes may wait for the acknowledgement of those before (Nagle)
	KeepAlive time.Duration // between probes of a quiet connection; 0 is 15 s, negative is none

	Accept    int  // listening: connections there will be; 0 is one, or with Fork no end; negative is no end
	Fork      bool // listening: connections are served at once rather than in turn; that is up to the caller
	ReusePort bool // listening: others may listen there, too, and share the connections

	Cert       string   // TLS: file of our certificate, in PEM
	Key        string   // TLS: file of its key; empty is Cert
	CA         string   // TLS: file of whom to trust; of one that listens: clients need a certificate from there
	Insecure   bool     // TLS: trust anybody
	ServerName string   // TLS: whom to expect; empty is the host
	ALPN       []string // TLS: protocols, the best first

	Packet    int    // udp: bytes in each datagram, but the last; 0 is as they are written, up to 1,400
	TTL       int    // udp: hops; 0 is the system's: 1 for multicast
	Interface string // udp: network interface for multicast; empty is the system's choice

	// Terminal leaves the command of exec in our process group, with our standard input: so it may ask at the terminal,
	// and Ctrl-C ends it.
	Terminal bool

	Header []string // http: Name:Value
}

// Role is what an address is wanted for.
type Role int

// The roles. Both is a connection that goes both ways.
const (
	Source Role = 1 << iota
	Destination
	Both = Source | Destination
)

func (r Role) String() string {
	switch r {
	case Source:
		return "source"
	case Destination:
		return "destination"
	default:
		return "source and destination"
	}
}

// reads and writes tell which halves the role has.
func (r Role) reads() bool  { return r&Source != 0 }
func (r Role) writes() bool { return r&Destination != 0 }

// Listens tells whether it waits for others to connect: whether there is a Listen for it.
func (a Address) Listens() bool {
	return a.Scheme == TCPListen || a.Scheme == UnixListen || a.Scheme == TLSListen
}

// connections returns how many a listener has, negative for no end.
func (o *Options) connections() int {
	switch {
	case o.Accept != 0:
		return o.Accept
	case o.Fork:
		return -1
	default:
		return 1
	}
}

// Schemes returns those that there are, as they are written.
func Schemes() []Scheme {
	all := make([]Scheme, len(kinds))
	for i, k := range kinds {
		all[i] = k.scheme
	}
	return all
}

// Options returns the names of the options that mean something for the scheme, sorted.
func (s Scheme) Options() []string {
	k := kindOf(s)
	if k == nil {
		return nil
	}
	return slices.Clone(k.options)
}

// Redacted is String without what is secret: the password in a URL and the values of headers. Errors name addresses by
// it.
func (a Address) Redacted() string {
	if u, err := url.Parse(a.URL); err == nil && a.URL != "" && u.User != nil {
		a.URL = u.Redacted()
	}
	if len(a.Options.Header) > 0 {
		a.Options.Header = slices.Clone(a.Options.Header)
		for i, h := range a.Options.Header {
			name, _, _ := strings.Cut(h, ":")
			a.Options.Header[i] = name + ":xxxxx"
		}
	}
	return a.String()
}

// Error says which part of which address is wrong, or what became of it.
type Error struct {
	Address string
	Part    string // such as `port "99999"`; empty if it is no one part
	Err     error
}

// Error reads `address "tcp://h:99999": port "99999": want 0 to 65535`.
func (e *Error) Error() string {
	s := `address "` + e.Address + `": `
	if e.Part != "" {
		s += e.Part + ": "
	}
	return s + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
