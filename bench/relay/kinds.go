package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/penstock-io/penstock/bench/internal/rounds"
)

// kind is a relay: a program, and how it is told what to do.
type kind struct {
	name    string
	program string // as exec.LookPath takes it, or one of those that are built; empty is none
	args    func(w *workplace, p places) ([]string, error)
	mirror  bool // it has a mirror, of what clients send, that counts what it gets
}

// String is its name.
func (k kind) String() string { return k.name }

// The programs that are built from this tree.
const (
	builtPenstock = "PENSTOCK"
	builtIOCopy   = "IOCOPY"
)

// places are where a relay listens, whom it forwards to, and who gets a copy.
type places struct{ listen, target, mirror string }

func (p places) port() string {
	return p.listen[len(loopback)+1:]
}

const loopback = "127.0.0.1"

// The kinds that goals name.
const (
	ours       = rounds.Penstock
	goCopy     = "io.Copy"
	withSocket = "penstock, to a socket"
	withNull   = "penstock, to null"
)

func penstock(name string, mirrors ...string) kind {
	return kind{name, builtPenstock, func(_ *workplace, p places) ([]string, error) {
		args := []string{
			"relay", "tcp-listen://" + p.listen, "tcp://" + p.target, "--access-log", "none", "--log-level", "warn",
		}
		for _, m := range mirrors {
			if m == toMirror {
				m += p.mirror
			}
			args = append(args, "--mirror", m)
		}
		return args, nil
	}, len(mirrors) > 0 && mirrors[0] == toMirror}
}

const toMirror = "tcp://"

func iocopy(name string, mirrored bool) kind {
	return kind{name, builtIOCopy, func(_ *workplace, p places) ([]string, error) {
		args := []string{p.listen, p.target}
		if mirrored {
			args = append(args, p.mirror)
		}
		return args, nil
	}, mirrored}
}

// relays are those that do the same, each as it is recommended to be set up, with a worker or a thread for each CPU
// where it has such a thing, and nothing logged. The last one is no relay: the client and the server by themselves: a
// relay's figure that is near theirs is not its own.
func relays() []kind {
	return []kind{
		penstock(ours),
		iocopy(goCopy, false),
		haproxy("HAProxy", spliceAlways, 0),
		nginx("nginx", ""),
		socat("socat", 0),
		{name: "no relay"},
	}
}

// streamers are those besides that are set up in another way, which matters for streams: with larger buffers than they
// have by default, and HAProxy as it is when it judges by itself when to splice.
func streamers() []kind {
	const mib = 1 << 20
	return []kind{
		haproxy("HAProxy, 1 MiB", spliceAlways, mib),
		haproxy("HAProxy, splice-auto", spliceAuto, 0),
		nginx("nginx, 1 MiB", "1m"),
		socat("socat, 1 MiB", mib),
	}
}

// peers are the names of all kinds but ours and of those that are no relays: whom a goal may be against.
func peers(kinds []kind) (names []string) {
	for _, k := range kinds {
		if k.name != ours && k.program != "" {
			names = append(names, k.name)
		}
	}
	return names
}

// When HAProxy splices. Left to judge by itself version 2.6 copies all of the streams here, by recv and send of 16 KiB.
const (
	spliceAlways = "option splice-request\n\toption splice-response"
	spliceAuto   = "option splice-auto"
)

// haproxy has pipes of a size; 0 is its default, which is the kernel's. It has a thread for each CPU it may run on.
func haproxy(name, splice string, pipes int) kind {
	return kind{name, "haproxy", func(w *workplace, p places) ([]string, error) {
		const most = 4096 // connections: they are also the length of the listener's queue
		size := ""
		if pipes > 0 {
			size = fmt.Sprintf("\ttune.pipesize %d\n", pipes)
		}
		text := fmt.Sprintf(`global
	maxconn %[1]d
%[4]sdefaults
	mode tcp
	%[5]s
	maxconn %[1]d
	timeout connect 5s
	timeout client 1m
	timeout server 1m
listen relay
	bind %[2]s
	server one %[3]s
`, most, p.listen, p.target, size, splice)
		path, err := w.write("haproxy.cfg", text)
		return []string{"-q", "-db", "-f", path}, err
	}, false}
}

// nginxModule is where Debian has what nginx needs for streams; elsewhere it is built in.
const nginxModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// nginx has buffers of a size; empty is its default, 16k. With a listener for each worker connections are shared out
// among these; with one for all most of them get to the same worker.
func nginx(name, buffer string) kind {
	return kind{name, "nginx", func(w *workplace, p places) ([]string, error) {
		load, size := "", ""
		if _, err := os.Stat(nginxModule); err == nil {
			load = "load_module " + nginxModule + ";\n"
		}
		if buffer != "" {
			size = "\t\tproxy_buffer_size " + buffer + ";\n"
		}
		text := fmt.Sprintf(`%sdaemon off;
worker_processes auto;
pid %s;
error_log stderr error;
events { worker_connections %d; }
stream {
	access_log off;
	server {
		listen %s reuseport backlog=4096;
		proxy_pass %s;
%s	}
}
`, load, filepath.Join(w.dir, "nginx.pid"), nginxConnections, p.listen, p.target, size)
		path, err := w.write("nginx.conf", text)
		return []string{"-p", w.dir, "-e", "stderr", "-c", path}, err
	}, false}
}

// nginxConnections is what a worker of nginx may have, two for each that it relays.
const nginxConnections = 8192

// socat has a process for each connection, and a buffer of a size; 0 is its default, 8 KiB. It has to be told to switch
// Nagle's algorithm off, as all others do by themselves.
func socat(name string, buffer int) kind {
	return kind{name, "socat", func(_ *workplace, p places) ([]string, error) {
		args := []string{
			"TCP-LISTEN:" + p.port() + ",bind=" + loopback + ",reuseaddr,nodelay,fork,backlog=4096",
			"TCP:" + p.target + ",nodelay",
		}
		if buffer > 0 {
			args = append([]string{"-b", fmt.Sprint(buffer)}, args...)
		}
		return args, nil
	}, false}
}

// present returns those that a regular expression matches the names of and whose programs there are; programs that are
// not there are named, once.
func present(kinds []kind, among *regexp.Regexp, missing map[string]bool) (here []kind) {
	for _, k := range kinds {
		if !among.MatchString(k.name) {
			continue
		}
		if k.program != "" && k.program != builtPenstock && k.program != builtIOCopy {
			if _, err := exec.LookPath(k.program); err != nil {
				if !missing[k.program] {
					fmt.Fprintf(os.Stderr, "no %s: it is left out\n", k.program)
				}
				missing[k.program] = true
				continue
			}
		}
		here = append(here, k)
	}
	return here
}
