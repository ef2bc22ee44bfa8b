package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // else each process lingers for a second under the race detector
	}
	testscript.Main(m, map[string]func(){"penstock": main})
}

// TestScripts runs the command as people do: each file in testdata/script is a session, its first lines say what it
// shows. Those that say $SPLICE are run twice, the second time with --no-splice.
func TestScripts(t *testing.T) {
	all, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(all) == 0 {
		t.Fatal("no scripts: ", err)
	}
	runScripts(t, "--no-splice=false", all)
	t.Run("NoSplice", func(t *testing.T) {
		t.Parallel()
		runScripts(t, "--no-splice", slices.DeleteFunc(all, func(name string) bool {
			script, err := os.ReadFile(name)
			return err == nil && !bytes.Contains(script, []byte("$SPLICE"))
		}))
	})
}

func runScripts(t *testing.T, splice string, files []string) {
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SPLICE", splice)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			e.Values[scene{}.key()] = newScene()
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			case "direct":
				return direct(), nil
			case "ipv6":
				l, err := net.Listen("tcp", "[::1]:0")
				if err == nil {
					l.Close()
				}
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": freePort,
			"await":    await,
			"request":  request,
			"expand":   expand,

			"status":  status,
			"start":   start,
			"running": untilRuns,
			"says":    says,
			"feed":    feedTo,
			"breaks":  breaks,
			"type":    typeTo,
			"signal":  signalTo,
			"ended":   ended,

			"data":   data,
			"part":   part,
			"same":   same,
			"pieces": pieces,

			"listen":   listenOnce,
			"connect":  connectTo,
			"finished": finished,
			"web":      web,
			"identity": identity,
		},
	})
}

// freePort VAR... sets each variable to a loopback address that nobody listens on.
func freePort(ts *testscript.TestScript, _ bool, vars []string) {
	for _, v := range vars {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(v, l.Addr().String())
		ts.Check(l.Close())
	}
}

// await URL [STATUS [TEXT]] waits until the URL answers with the status, 200 if none is given, and the text in its body.
func await(ts *testscript.TestScript, _ bool, args []string) {
	want, text := "200", ""
	if len(args) > 1 {
		want = args[1]
	}
	if len(args) > 2 {
		text = args[2]
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		r, err := http.Get(args[0])
		if err == nil {
			var body []byte
			if text != "" { // else it may be a stream
				body, err = io.ReadAll(r.Body)
			}
			r.Body.Close()
			if r.Status[:3] == want && strings.Contains(string(body), text) {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: no %s: %v", args[0], want, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// expand FROM TO copies a file of the script with its variables filled in.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o644))
}

// request METHOD URL STATUS asks once. The body is there for stdout.
func request(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, args[0], args[1], nil)
	ts.Check(err)
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	_, err = io.Copy(ts.Stdout(), answer.Body)
	ts.Check(err)
	if answer.Status[:3] != args[2] {
		ts.Fatalf("%s and not %s", answer.Status, args[2])
	}
}

// TestSIGTERMFinishesAndExitsWithZero runs the command as a service manager would.
func TestSIGTERMFinishesAndExitsWithZero(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "penstock", "serve", "--demo", "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "publisher joined") {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(log.String(), "shutting down") {
		t.Errorf("%v\n%s", err, &log)
	}
}
