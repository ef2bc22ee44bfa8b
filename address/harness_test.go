package address_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	. "github.com/penstock-io/penstock/address"
)

// within is a context that ends a test that hangs.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // not the test's: some goes on until its cleanup
	time.AfterFunc(30*time.Second, cancel)
	return ctx
}

// stream is more than any socket or pipe holds, and not a whole number of blocks.
func stream() []byte {
	b := make([]byte, 8<<20+4321)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func parse(t *testing.T, text string) Address {
	t.Helper()
	a, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func open(t *testing.T, text string, role Role, c Config) *End {
	t.Helper()
	e, err := parse(t, text).Open(within(t), role, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// fails opens what cannot be opened, and wants one line.
func fails(t *testing.T, text string, role Role, want string) {
	t.Helper()
	a := parse(t, text)
	e, err := a.Open(within(t), role, Config{})
	if err == nil {
		e.Close()
		t.Fatalf("%s is opened", text)
	}
	says(t, a, err, want)
}

func says(t *testing.T, a Address, err error, want string) {
	t.Helper()
	if _, ok := err.(*Error); !ok {
		t.Fatalf("error %T %v, want an *Error", err, err)
	}
	if want = `address "` + a.Redacted() + `": ` + want; err.Error() != want {
		t.Errorf("says\n%v, want\n%s", err, want)
	}
}

// fill writes b to a destination, and finishes it.
func fill(t *testing.T, e *End, b []byte) {
	t.Helper()
	if _, err := penstock.Copy(within(t), e.Writer, bytes.NewReader(b)); err != nil {
		t.Error(err)
	}
	if err := e.Finish(within(t)); err != nil {
		t.Error(err)
	}
}

// drain reads a source to its end, and finishes it.
func drain(t *testing.T, e *End) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := penstock.Copy(within(t), &b, e.Reader); err != nil {
		t.Error(err)
	}
	if err := e.Finish(within(t)); err != nil {
		t.Error(err)
	}
	return b.Bytes()
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes have become %d, the first ones %.20q", len(want), len(got), got)
	}
}

// write makes a file in a folder of the test's own, and returns its path.
func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// meanwhile runs f beside the test. What it returns waits for it, before the test cleans up.
func meanwhile(f func()) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	return wg.Wait
}

// listen listens, and closes at the test's end.
func listen(t *testing.T, text string, role Role, c Config) *Listener {
	t.Helper()
	l, err := parse(t, text).Listen(within(t), role, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func accept(t *testing.T, l *Listener) *End {
	t.Helper()
	e, err := l.Accept(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// closedPort returns a port of the loopback interface that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

var errEnough = errors.New("enough")

// isCut opens what has to be waited for, and ends the wait.
func isCut(t *testing.T, text string, role Role) {
	t.Helper()
	a := parse(t, text)
	ctx, cancel := context.WithCancelCause(within(t))
	time.AfterFunc(20*time.Millisecond, func() { cancel(errEnough) })
	e, err := a.Open(ctx, role, Config{})
	if err == nil {
		e.Close()
		t.Fatalf("%s is opened", text)
	}
	says(t, a, err, "enough")
}

// contextThatEnds is one that is done in a moment, because of errEnough.
func contextThatEnds(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(within(t))
	time.AfterFunc(20*time.Millisecond, func() { cancel(errEnough) })
	return ctx, func() { cancel(nil) }
}

// quiet is for servers that would tell of what a test does to them.
var quiet = log.New(io.Discard, "", 0)
