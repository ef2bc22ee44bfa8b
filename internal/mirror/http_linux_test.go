package mirror_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// nginx serves what is in a folder, and returns where.
func nginx(t *testing.T, root string) (addr string) {
	t.Helper()
	need(t, "nginx")
	addr, _ = free(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // who can read this folder
	}
	dir := t.TempDir()
	write(t, dir+"/conf", fmt.Sprintf(`%sdaemon off;
pid %[2]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	sendfile on;
	client_body_temp_path %[2]s/a; proxy_temp_path %[2]s/b; fastcgi_temp_path %[2]s/c;
	uwsgi_temp_path %[2]s/d; scgi_temp_path %[2]s/e;
	server { listen %[3]s; root %[4]s; }
}
`, user, dir, addr, root))
	daemon(t, addr, "nginx", "-e", "stderr", "-c", dir+"/conf")
	return addr
}

func TestCurlThroughARelayToNginx(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	path, b := file(t, 1<<20)
	addr := nginx(t, filepath.Dir(path))
	ways(t, func(t *testing.T, noSplice bool) {
		url := "http://" + witness(t, addr, noSplice).addr + "/file"
		for name, args := range map[string][]string{"in turn": nil, "at a time": {"--parallel", "--parallel-immediate"}} {
			to := t.TempDir()
			args = append(args, "-sSf", "-o", to+"/1", "-o", to+"/2", "-o", to+"/3", url, url, url)
			command(t, "curl", args...)
			for i := range 3 {
				if got := read(t, fmt.Sprint(to, "/", i+1)); !bytes.Equal(got, b) {
					t.Errorf("%s, %d: %d bytes, or others", name, i, len(got))
				}
			}
		}
		if got := command(t, "curl", "-sSf", "-r", "1000-1099", url); got != string(b[1000:1100]) {
			t.Errorf("a range: %d bytes, or others", len(got))
		}
	})
}

// TestWrkThroughARelayToNginx is of many connections at a time, on each of which requests come one after the other, and
// which are cut in the middle when the time is over.
func TestWrkThroughARelayToNginx(t *testing.T) {
	t.Parallel()
	need(t, "wrk")
	path, _ := file(t, 3000)
	addr := nginx(t, filepath.Dir(path))
	requests := regexp.MustCompile(`[1-9][0-9]* requests in `)
	ways(t, func(t *testing.T, noSplice bool) {
		w := witness(t, addr, noSplice)
		w.small = true
		url := "http://" + w.addr + "/file"
		out := command(t, "wrk", "-t", "1", "-c", "20", "-d", "1s", url)
		if !requests.MatchString(out) || strings.Contains(out, "errors") ||
			strings.Contains(out, "Non-2xx") {
			t.Errorf("%s", out)
		}
	})
}
