package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/penstock-io/penstock/bench/internal/machine"
	build "github.com/penstock-io/penstock/bench/internal/program"
)

// program is a server that is a program of its own.
type program struct {
	// find returns the program's path; it is built in dir if need be. An error says why there is none.
	find func(dir string) (string, error)
	// command returns how it is started to listen on s.Watch, and completes s.
	command func(path, dir string, s *spec) (*exec.Cmd, error)
}

var programs = map[string]program{
	"serve":   {buildPenstock, servePenstock},
	"icecast": {findIcecast, serveIcecast},
}

// start starts the program on a port that was free a moment ago. What it says goes to said.
func (p program) start(path, dir string, s *spec, said io.Writer) (*exec.Cmd, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Watch = l.Addr().String()
	s.Publish = s.Watch
	if err := l.Close(); err != nil {
		return nil, err
	}
	// What it starts inherits this limit; Go's own start with all they may have.
	if _, err := machine.AllowDescriptors(manyDescriptors); err != nil {
		return nil, err
	}
	c, err := p.command(path, dir, s)
	if err != nil {
		return nil, err
	}
	if c.SysProcAttr == nil {
		c.SysProcAttr = new(syscall.SysProcAttr)
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL // however this process ends
	c.Stdout, c.Stderr = said, said
	return c, c.Start()
}

func buildPenstock(dir string) (string, error) { return build.Penstock(dir, "") }

func servePenstock(path, _ string, s *spec) (*exec.Cmd, error) {
	const endless = 1 << 50 // bytes: a body with a length is spliced from the connection
	s.PublishRequest = fmt.Sprintf("PUT /live/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"+
		"Content-Length: %d\r\n\r\n", endless)
	s.WatchRequest = "GET /live/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
	return exec.Command(path, "serve", "--listen", s.Watch, "--log-level", "error"), nil
}

func findIcecast(string) (string, error) { return exec.LookPath("icecast2") }

// icecastConfig has the listener's address, the directory for logs, and the port in it.
const icecastConfig = `<icecast>
  <limits>
    <clients>20000</clients>
    <sources>4</sources>
    <queue-size>67108864</queue-size>
    <client-timeout>30</client-timeout>
    <header-timeout>15</header-timeout>
    <source-timeout>30</source-timeout>
    <burst-on-connect>0</burst-on-connect>
    <burst-size>0</burst-size>
  </limits>
  <authentication>
    <source-password>bench</source-password>
    <relay-password>bench</relay-password>
    <admin-user>admin</admin-user>
    <admin-password>bench</admin-password>
  </authentication>
  <hostname>127.0.0.1</hostname>
  <location>loopback</location>
  <admin>nobody@localhost</admin>
  <listen-socket>
    <bind-address>%s</bind-address>
    <port>%s</port>
  </listen-socket>
  <fileserve>0</fileserve>
  <paths>
    <basedir>%[3]s</basedir>
    <logdir>%[3]s</logdir>
    <webroot>%[3]s</webroot>
    <adminroot>%[3]s</adminroot>
  </paths>
  <logging>
    <accesslog>access.log</accesslog>
    <errorlog>error.log</errorlog>
    <loglevel>1</loglevel>
  </logging>
  <security>
    <chroot>0</chroot>
  </security>
</icecast>
`

// nobody is who runs icecast where this process is root's, which it refuses.
const nobody = 65534

func serveIcecast(path, dir string, s *spec) (*exec.Cmd, error) {
	host, port, err := net.SplitHostPort(s.Watch)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "icecast."+port)
	if err := os.Mkdir(name, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(name, "icecast.xml")
	if err := os.WriteFile(config, fmt.Appendf(nil, icecastConfig, host, port, name), 0o644); err != nil {
		return nil, err
	}
	s.PublishRequest = "PUT /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic c291cmNlOmJlbmNo\r\n" + // source:bench
		"Content-Type: video/mp2t\r\n\r\n"
	s.PublishAnswer = true
	s.WatchRequest = "GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n"
	c := exec.Command(path, "-c", config)
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.Chown(name, nobody, nobody); err != nil {
			return nil, err
		}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return c, nil
}
