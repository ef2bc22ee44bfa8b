package mirror_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Real programs talk through a relay with mirrors, which are to have what they have said, to the byte. Who is not
// installed is skipped, by name: scripts/setup-tests installs them.

func TestRedisThroughARelay(t *testing.T) {
	t.Parallel()
	need(t, "redis-server", "redis-benchmark", "redis-cli")
	addr, port := free(t)
	daemon(t, addr, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	ways(t, func(t *testing.T, noSplice bool) {
		through := portOf(t, witness(t, addr, noSplice).addr)
		_, b := file(t, 1<<20)
		c := exec.Command("redis-cli", "-p", through, "-x", "set", "key")
		c.Stdin = bytes.NewReader(b)
		if out, err := c.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "OK" {
			t.Errorf("set: %q, %v", out, err)
		}
		if got := command(t, "redis-cli", "-p", through, "--raw", "get", "key"); got != string(b)+"\n" {
			t.Errorf("get: %d bytes, or others", len(got))
		}
		for _, args := range [][]string{{"-P", "1", "-n", "200"}, {"-P", "16", "-n", "4000"}, {"-d", "30000", "-n", "100"}} {
			args = append(args, "-p", through, "-c", "10", "-t", "set,get,lpush,incr", "-q")
			if out := command(t, "redis-benchmark", args...); strings.Count(out, "requests per second") < 4 {
				t.Errorf("%s", out)
			}
		}
	})
}

func TestSSHThroughARelay(t *testing.T) {
	t.Parallel()
	need(t, "sshd", "ssh", "scp", "ssh-keygen")
	sshd, err := exec.LookPath("sshd") // it wants to be called by its whole name
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // where its unprivileged part is to be: the package's start script makes it
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
	}
	addr, port := free(t)
	write(t, dir+"/conf", fmt.Sprintf(`Port %s
ListenAddress 127.0.0.1
HostKey %[2]s/host
AuthorizedKeysFile %[2]s/user.pub
PidFile none
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
`, port, dir))
	daemon(t, addr, sshd, "-D", "-e", "-f", dir+"/conf")
	options := []string{
		"-F", "none", "-i", dir + "/user", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
	}
	path, b := file(t, 3<<20)
	ways(t, func(t *testing.T, noSplice bool) {
		through := portOf(t, witness(t, addr, noSplice).addr)
		to := filepath.Join(t.TempDir(), "copied")
		command(t, "scp", append(options, "-P", through, path, "127.0.0.1:"+to)...)
		if got := read(t, to); !bytes.Equal(got, b) {
			t.Errorf("scp: %d bytes, or others", len(got))
		}
		if got := command(t, "ssh", append(options, "-p", through, "127.0.0.1", "cat "+path)...); got != string(b) {
			t.Errorf("ssh: %d bytes, or others", len(got))
		}
	})
}

func TestIperf3ThroughARelay(t *testing.T) {
	t.Parallel()
	need(t, "iperf3")
	addr, port := free(t)
	daemon(t, addr, "iperf3", "-s", "-B", "127.0.0.1", "-p", port)
	ways(t, func(t *testing.T, noSplice bool) {
		through := portOf(t, witness(t, addr, noSplice).addr)
		for _, direction := range []string{"--get-server-output", "-R", "--bidir"} { // the first is forward
			out := whenFree(t, "iperf3", "-c", "127.0.0.1", "-p", through, "-n", "4M", "-P", "2", direction)
			if !strings.Contains(out, "iperf Done") {
				t.Errorf("%s: %s", direction, out)
			}
		}
	})
}

// whenFree runs a program until its server is busy no more with the one before, which is over for that one's client only.
func whenFree(t *testing.T, name string, args ...string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err == nil {
			return string(out)
		} else if !bytes.Contains(out, []byte("server is busy")) || time.Now().After(deadline) {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
}
