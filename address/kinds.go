package address

import "slices"

// form is what stands behind a scheme.
type form int

const (
	nothing form = iota
	number
	path
	hostPort
	webURL
	command
)

// kind is what there is to know of a scheme before it is opened.
type kind struct {
	scheme  Scheme
	form    form
	roles   []Role   // what it may be
	instead string   // what to use for the other roles
	options []string // sorted
}

var (
	oneWay   = []Role{Source, Destination}
	anyRole  = []Role{Source, Destination, Both}
	fromOnly = []Role{Source}
)

var (
	slowOptions   = []string{"on-slow"}
	fileOptions   = []string{"append", "direct", "excl", "mode", "offset", "sync"}
	fifoOptions   = []string{"create", "mode", "timeout"}
	openOptions   = []string{"retry", "timeout"}
	socketOptions = []string{"rcvbuf", "sndbuf"}
	tcpOptions    = []string{"keepalive", "nodelay"}
	listenOptions = []string{"accept", "fork"}
	netOptions    = sorted(slowOptions, openOptions, socketOptions)
	trustOptions  = []string{"ca", "cert", "insecure", "key"}
)

// kinds are the schemes in the order in which people are told of them.
var kinds = []kind{
	{Stdio, nothing, anyRole, "", sorted(slowOptions)},
	{FD, number, anyRole, "", sorted(slowOptions)},
	{File, path, oneWay, "", sorted(slowOptions, fileOptions)},
	{FIFO, path, oneWay, "", sorted(slowOptions, fifoOptions)},
	{TCP, hostPort, anyRole, "", sorted(netOptions, tcpOptions, []string{"bind"})},
	{TCPListen, hostPort, anyRole, "", sorted(netOptions, tcpOptions, listenOptions, []string{"reuseport"})},
	{Unix, path, anyRole, "", netOptions},
	{UnixListen, path, anyRole, "", sorted(netOptions, listenOptions, []string{"mode"})},
	{TLS, hostPort, anyRole, "", sorted(netOptions, tcpOptions, trustOptions, []string{"alpn", "bind", "servername"})},
	{
		TLSListen, hostPort, anyRole, "",
		sorted(netOptions, tcpOptions, listenOptions, []string{"alpn", "ca", "cert", "key", "reuseport"}),
	},
	{
		UDP, hostPort, anyRole, "",
		sorted(slowOptions, socketOptions, []string{"bind", "interface", "packet", "retry", "ttl"}),
	},
	{
		UDPListen, hostPort, fromOnly, "udp://HOST:PORT",
		sorted(socketOptions, []string{"interface", "retry", "reuseport"}),
	},
	{HTTP, webURL, oneWay, "", sorted(slowOptions, openOptions, []string{"header"})},
	{HTTPS, webURL, oneWay, "", sorted(slowOptions, openOptions, trustOptions, []string{"header", "servername"})},
	{Exec, command, anyRole, "", sorted(slowOptions, []string{"terminal"})},
	{Null, nothing, anyRole, "", sorted(slowOptions)},
	{Zero, nothing, fromOnly, "null:", nil},
	{Random, nothing, fromOnly, "null:", nil},
}

func sorted(lists ...[]string) []string { return slices.Sorted(slices.Values(slices.Concat(lists...))) }

// kindOf returns nil if there is no such scheme.
func kindOf(s Scheme) *kind {
	for i := range kinds {
		if kinds[i].scheme == s {
			return &kinds[i]
		}
	}
	return nil
}
