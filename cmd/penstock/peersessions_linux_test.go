package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Sessions with two directions, and connections with socat and nc at the other end.

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) (addr, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l.Addr().String(), port
}

var listening = regexp.MustCompile(`listening on (\S+)`)

// listens waits until a copy says where it listens.
func (r *running) listens() (addr string) {
	r.t.Helper()
	until(r.t, "it listens", func() bool {
		if m := listening.FindStringSubmatch(r.stderr.String()); m != nil {
			addr = m[1]
		}
		return addr != ""
	})
	return addr
}

// lateServer answers one client after it has said everything, and then something is over.
func lateServer(t *testing.T, question, answer []byte, after func()) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return // told by who should have connected
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(hung))
		got, err := io.ReadAll(c)
		if diff := differ(got, question); err != nil || diff != "" {
			t.Errorf("the server got %s, %v", diff, err)
		}
		after()
		_, _ = c.Write(answer) // who has gone has not got it
	}()
	return l.Addr().String()
}

// TestATailThatComesLateArrives lets a server answer a client that has said everything long after socat would have
// given up, which is after half a second; nc -N waits for it, too.
func TestATailThatComesLateArrives(t *testing.T) {
	t.Parallel()
	question, answer := noise(200_001), noise(1<<20+1)
	const long = 700 * time.Millisecond
	for _, kind := range []string{"file", "pipe", "TCP socket"} {
		for _, p := range append(copies("--both", "-", "ADDRESS"),
			peer{"nc", []string{"nc", "-N", "HOST", "PORT"}}, peer{"socat", []string{"socat", "-", "TCP:ADDRESS"}}) {
			t.Run(kind+", "+p.name, func(t *testing.T) {
				t.Parallel()
				gone, loses := make(chan struct{}), p.name == "socat"
				addr := lateServer(t, question, answer, func() {
					patience := time.Duration(long)
					if loses {
						patience = hung
					}
					select {
					case <-gone:
						if !loses {
							t.Error("it was gone before the answer")
						}
					case <-time.After(patience):
					}
				})
				host, port, _ := net.SplitHostPort(addr)
				for i := range p.argv {
					p.argv[i] = strings.NewReplacer("ADDRESS", addr, "HOST", host, "PORT", port).Replace(p.argv[i])
				}
				r := p.prepare(t, t.TempDir())
				r.Stdin = stdins[kind](t, question)
				out, w := pipe(t)
				r.Stdout = w
				got := collect(out)
				status := r.begin().end()
				close(gone)
				want := answer
				if loses {
					want = nil
				}
				if diff := differ(got.all(t), want); status != 0 || diff != "" {
					t.Errorf("status %d, the client got %s; it said %q", status, diff, r.stderr.String())
				}
			})
		}
	}
}

// TestARelayKeepsTheTail stands between the two.
func TestARelayKeepsTheTail(t *testing.T) {
	t.Parallel()
	question, answer := noise(200_001), noise(1<<20+1)
	for _, p := range copies("--both", "tcp-listen://127.0.0.1:0", "ADDRESS") {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.argv[len(p.argv)-1] = lateServer(t, question, answer, func() { time.Sleep(700 * time.Millisecond) })
			r := p.prepare(t, t.TempDir()).begin()
			c, err := net.Dial("tcp", r.listens())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(hung))
			if _, err := c.Write(question); err != nil {
				t.Error(err)
			}
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Error(err)
			}
			got, err := io.ReadAll(c)
			if diff := differ(got, answer); err != nil || diff != "" {
				t.Errorf("the client got %s, %v", diff, err)
			}
			if status := r.end(); status != 0 {
				t.Errorf("status %d; it said %q", status, r.stderr.String())
			}
		})
	}
}

// TestATalkWithSocatAndWithNc goes both ways at once, with somebody else's program at the other end. (Not with nc -U:
// by a Unix socket that says no more once the other side has said all, and loses the rest of its own input. By TCP it does
// so at times, whoever is at the other end: a beginning of that is all that can be asked for.)
func TestATalkWithSocatAndWithNc(t *testing.T) {
	t.Parallel()
	ours, theirs := noise(3<<20+7), noise(2<<20 + 1)[7:]
	for _, other := range []peer{
		{"socat listens", []string{"socat", "-t60", "-", "TCP-LISTEN:PORT,bind=127.0.0.1"}},
		{"nc listens", []string{"nc", "-N", "-l", "127.0.0.1", "PORT"}},
		{"socat connects", []string{"socat", "-t60", "-", "TCP:ADDRESS"}},
		{"nc connects", []string{"nc", "-N", "127.0.0.1", "PORT"}},
		{"socat listens, Unix", []string{"socat", "-t60", "-", "UNIX-LISTEN:socket"}},
		{"socat connects, Unix", []string{"socat", "-t60", "-", "UNIX-CONNECT:socket"}},
	} {
		for _, p := range copies("--both", "-") {
			t.Run(other.name+", "+p.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				addr, port := freeAddress(t)
				at := map[string]string{
					"listens": "tcp://" + addr + "?retry=30s", "connects": "tcp-listen://127.0.0.1:0",
					"listens, Unix": "unix:socket?retry=30s", "connects, Unix": "unix-listen:socket",
				}
				_, does, _ := strings.Cut(other.name, " ")
				p.argv = append(p.argv, at[does])
				start := func(p peer, data []byte) (*running, *collected) {
					r := p.prepare(t, dir)
					r.Stdin = stdins["pipe"](t, data)
					out, w := pipe(t)
					r.Stdout = w
					return r.begin(), collect(out)
				}
				us, weGot := start(p, ours)
				if strings.HasPrefix(does, "connects") {
					addr = us.listens()
					_, port, _ = net.SplitHostPort(addr) // a Unix socket has none
				}
				argv := append([]string(nil), other.argv...)
				for i := range argv {
					argv[i] = strings.NewReplacer("ADDRESS", addr, "PORT", port).Replace(argv[i])
				}
				them, theyGot := start(peer{other.name, argv}, theirs)
				if diff := differ(theyGot.all(t), ours); diff != "" {
					t.Errorf("the other got %s", diff)
				}
				got, want := weGot.all(t), theirs
				if other.argv[0] == "nc" {
					want = want[:min(len(got), len(want))]
				}
				if diff := differ(got, want); diff != "" {
					t.Errorf("penstock got %s", diff)
				}
				if status := us.end(); status != 0 {
					t.Errorf("status %d; it said %q", status, us.stderr.String())
				}
				if status := them.end(); status != 0 {
					t.Errorf("the other: status %d; it said %q", status, them.stderr.String())
				}
			})
		}
	}
}

// TestWhatSocatAndNcSendIsReceivedAndKept from a connection to a file, beside what they receive themselves.
func TestWhatSocatAndNcSendIsReceivedAndKept(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	for _, sender := range []peer{
		{"socat", []string{"socat", "-u", "STDIN", "TCP:ADDRESS"}},
		{"nc", []string{"nc", "-N", "HOST", "PORT"}},
		{"penstock", []string{"penstock", "copy", "-", "ADDRESS"}},
		{"penstock --no-splice", []string{"penstock", "copy", "-C", "-", "ADDRESS"}},
	} {
		for _, p := range copies("tcp-listen://127.0.0.1:0", "out", "-o", "-") {
			t.Run(sender.name+" to "+p.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				r := p.prepare(t, dir)
				out, w := pipe(t)
				r.Stdout = w
				through := collect(out)
				addr := r.begin().listens()
				host, port, _ := net.SplitHostPort(addr)
				argv := append([]string(nil), sender.argv...)
				for i := range argv {
					argv[i] = strings.NewReplacer("ADDRESS", addr, "HOST", host, "PORT", port).Replace(argv[i])
				}
				s := peer{sender.name, argv}.prepare(t, dir)
				s.Stdin = stdins["pipe"](t, data)
				if status := s.begin().end(); status != 0 {
					t.Errorf("the sender: status %d; it said %q", status, s.stderr.String())
				}
				if status := r.end(); status != 0 {
					t.Errorf("status %d; it said %q", status, r.stderr.String())
				}
				for name, got := range map[string][]byte{"-": through.all(t), "out": contents(t, dir, "out")} {
					if diff := differ(got, data); diff != "" {
						t.Errorf("%s: %s", name, diff)
					}
				}
			})
		}
	}
}

// TestWhatIsSentToSocatAndNcArrives from a file.
func TestWhatIsSentToSocatAndNcArrives(t *testing.T) {
	t.Parallel()
	data := noise(3<<20 + 7)
	for _, receiver := range []peer{
		{"socat", []string{"socat", "-u", "TCP-LISTEN:PORT,bind=127.0.0.1", "STDOUT"}},
		{"nc", []string{"nc", "-l", "127.0.0.1", "PORT"}},
	} {
		for _, p := range copies("in") {
			t.Run(p.name+" to "+receiver.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "in"), data, 0o600); err != nil {
					t.Fatal(err)
				}
				addr, port := freeAddress(t)
				argv := append([]string(nil), receiver.argv...)
				for i := range argv {
					argv[i] = strings.ReplaceAll(argv[i], "PORT", port)
				}
				to := peer{receiver.name, argv}.prepare(t, dir)
				to.Stdin = stdins["pipe"](t, nil)
				out, w := pipe(t)
				to.Stdout = w
				got := collect(out)
				to.begin()
				p.argv = append(p.argv, "tcp://"+addr+"?retry=30s")
				r := p.prepare(t, dir).begin()
				if status := r.end(); status != 0 {
					t.Errorf("status %d; it said %q", status, r.stderr.String())
				}
				if diff := differ(got.all(t), data); diff != "" {
					t.Errorf("%s", diff)
				}
				if status := to.end(); status != 0 {
					t.Errorf("the receiver: status %d; it said %q", status, to.stderr.String())
				}
			})
		}
	}
}
