package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// kind is a relay: a program, and how it is told what to do.
type kind struct {
	name    string
	program string // as exec.LookPath takes it; PENSTOCK and IOCOPY are built from this tree
	args    func(w *workplace, p places) ([]string, error)
	mirror  bool // it has a mirror, which counts what it gets
}

// places are where a relay listens, whom it forwards to, and who gets a copy.
type places struct{ listen, target, mirror string }

func (p places) port() string {
	return p.listen[len(loopback)+1:]
}

const loopback = "127.0.0.1"

// The kinds that all comparisons are about.
const (
	ours    = "penstock"
	haproxy = "HAProxy"
	goCopy  = "io.Copy"
)

func penstock(name string, mirrors ...string) kind {
	return kind{name, "PENSTOCK", func(_ *workplace, p places) ([]string, error) {
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
	return kind{name, "IOCOPY", func(_ *workplace, p places) ([]string, error) {
		args := []string{p.listen, p.target}
		if mirrored {
			args = append(args, p.mirror)
		}
		return args, nil
	}, mirrored}
}

// relays are those that do the same; the others have a worker or a thread for each CPU, as penstock has.
func relays() []kind {
	return []kind{
		penstock(ours),
		iocopy(goCopy, false),
		{haproxy, "haproxy", haproxyArgs, false},
		{"nginx", "nginx", nginxArgs, false},
		{"socat", "socat", socatArgs, false},
	}
}

func haproxyArgs(w *workplace, p places) ([]string, error) {
	const most = 4096
	text := fmt.Sprintf(`global
	maxconn %[1]d
defaults
	mode tcp
	option splice-auto
	maxconn %[1]d
	timeout connect 5s
	timeout client 1m
	timeout server 1m
listen relay
	bind %[2]s
	server one %[3]s
`, most, p.listen, p.target)
	name, err := w.write("haproxy.cfg", text)
	return []string{"-q", "-db", "-f", name}, err
}

// nginxModule is where Debian has what nginx needs for streams; elsewhere it is built in.
const nginxModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

func nginxArgs(w *workplace, p places) ([]string, error) {
	load := ""
	if _, err := os.Stat(nginxModule); err == nil {
		load = "load_module " + nginxModule + ";\n"
	}
	text := fmt.Sprintf(`%sdaemon off;
worker_processes auto;
pid %s;
error_log stderr error;
events { worker_connections 8192; }
stream {
	access_log off;
	server {
		listen %s backlog=4096;
		proxy_pass %s;
	}
}
`, load, filepath.Join(w.dir, "nginx.pid"), p.listen, p.target)
	name, err := w.write("nginx.conf", text)
	return []string{"-p", w.dir, "-e", "stderr", "-c", name}, err
}

func socatArgs(_ *workplace, p places) ([]string, error) {
	return []string{
		"TCP-LISTEN:" + p.port() + ",bind=" + loopback + ",reuseaddr,fork,backlog=4096", "TCP:" + p.target,
	}, nil
}

// present returns those whose programs there are; the others are named.
func present(kinds []kind) (here []kind) {
	for _, k := range kinds {
		if k.program != "PENSTOCK" && k.program != "IOCOPY" {
			if _, err := exec.LookPath(k.program); err != nil {
				fmt.Fprintf(os.Stderr, "no %s: it is left out\n", k.program)
				continue
			}
		}
		here = append(here, k)
	}
	return here
}
