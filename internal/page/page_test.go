package page_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/internal/browser"
	"github.com/penstock-io/penstock/internal/relays"
	"github.com/penstock-io/penstock/live"
)

// echo is a server that says back what it hears. It returns its address.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// free returns an address where nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts relays to an echo, one for each name, with two mirrors, one of which is not there, and tells where they
// are and where their own page is.
func start(t *testing.T, names ...string) (set *relays.Set, at map[string]string, page string) {
	t.Helper()
	page, at = free(t), make(map[string]string)
	var text strings.Builder
	fmt.Fprintf(&text, "http: %s\naccess-log: none\ndrain: 0\ndefaults: {targets: %q, mirrors: [\"null:\", %q]}\nrelays:\n",
		page, echo(t), "unix:"+t.TempDir()+"/nobody")
	for _, name := range names {
		at[name] = free(t)
		fmt.Fprintf(&text, "  - {name: %s, listen: \"tcp-listen://%s\"}\n", name, at[name])
	}
	c, err := relays.Parse("test", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	set = relays.NewSet(slog.New(slog.DiscardHandler), new(bytes.Buffer))
	t.Cleanup(func() { set.Shutdown() })
	if err := set.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return set, at, "http://" + page + "/"
}

// talk connects, and has said something that was answered.
func talk(t *testing.T, to string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheButtonEndsTheConnectionThatItStandsBeside and no other, once it has been asked whether really.
func TestTheButtonEndsTheConnectionThatItStandsBeside(t *testing.T) {
	_, at, url := start(t, "shop")
	first, second := talk(t, at["shop"]), talk(t, at["shop"])
	p := browser.Open(t, url)
	p.Until(`document.querySelectorAll("tbody tr").length === 2`)
	const ofClient = `[...document.querySelectorAll("tbody tr")].find((r) => r.innerText.includes(%q))`
	row := fmt.Sprintf(ofClient, first.LocalAddr())
	p.Eval(row+`.querySelector(".kill").id = "it"`, nil)
	if got := p.Text("#it"); got != "End" {
		t.Errorf("the button says %q", got)
	}
	p.Click("#it")
	p.Until(`document.querySelector("#it").innerText === "Really?"`)
	if _, err := fmt.Fprint(first, "still there"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(first, make([]byte, len("still there"))); err != nil {
		t.Errorf("one click has ended it: %v", err)
	}
	p.Click("#it")
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on")
	}
	p.Until(`document.querySelectorAll("tbody tr").length === 1`)
	p.Until(`document.querySelector("#said").textContent.endsWith(" is ended")`)
	p.Until(`document.querySelector(".ledger .ends dd").innerText === "1 × KD"`)
	if _, err := fmt.Fprint(second, "hello"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(second, make([]byte, 5)); err != nil {
		t.Errorf("another was ended, too: %v", err)
	}
	if text := p.Text("body"); strings.Contains(text, "streams") {
		t.Errorf("tells of streams, of which there are none:\n%s", text)
	}
}

// TestEachMirrorIsShownWithWhatItLacks and another beside it with what it has.
func TestEachMirrorIsShownWithWhatItLacks(t *testing.T) {
	_, at, url := start(t, "shop")
	talk(t, at["shop"]).Close()
	p := browser.Open(t, url)
	const edge = `[...document.querySelectorAll(".edge")].find((e) => e.innerText.includes(%q))?.innerText`
	p.Until(fmt.Sprintf(edge, "/nobody") + `?.includes("failed for 1 connection")`)
	p.Until(fmt.Sprintf(edge, "/nobody") + `?.includes("5 B lost")`)
	p.Until(fmt.Sprintf(edge, "null:") + `?.includes("5 B")`)
	p.Until(`!` + fmt.Sprintf(edge, "null:") + `?.includes("lost")`)
}

// serve is a live server's page, with a stream, beside something or nothing.
func serve(t *testing.T, beside live.Beside) (url string) {
	t.Helper()
	s, err := live.New(live.Config{Beside: beside})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		web.CloseClientConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	if err := s.StartDemo("demo"); err != nil {
		t.Fatal(err)
	}
	return web.URL
}

func TestOnePageShowsStreamsAndRelays(t *testing.T) {
	set, at, _ := start(t, "shop", "db")
	talk(t, at["shop"])
	p := browser.Open(t, serve(t, set.View()))
	p.Until(`document.querySelectorAll("#streams .card").length === 1`)
	p.Until(`document.querySelectorAll("#relays .card").length === 2`)
	p.Until(`document.querySelectorAll("tbody tr").length === 1`)
	p.Until(`document.title === "penstock: 1 live, 1 connection"`)
	for _, says := range []string{"Streams\n", "Relays\n", "demo", "shop", "db", "relays.json", "streams.json"} {
		if text := p.Text("body"); !strings.Contains(text, says) {
			t.Errorf("%q is not there:\n%s", says, text)
		}
	}
	if text := p.Text("tbody"); strings.Contains(text, "End") {
		t.Errorf("whoever watches streams may end connections: %s", text)
	}
}

func TestAPartThatThereIsNotIsNotShown(t *testing.T) {
	p := browser.Open(t, serve(t, nil))
	p.Until(`document.querySelectorAll("#streams .card").length === 1`)
	p.Until(`document.title === "penstock: 1 live"`)
	if text := p.Text("body"); strings.Contains(text, "relay") || strings.Contains(text, "Streams\n") {
		t.Errorf("it tells of relays:\n%s", text)
	}
}
