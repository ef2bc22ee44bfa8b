package relays

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
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

// config is that of relays to one target, by name and address.
func config(t *testing.T, target string, relays ...string) Config {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "access-log: none\ndrain: 0\ndefaults: {targets: %q}\nrelays:\n", target)
	for i := 0; i < len(relays); i += 2 {
		fmt.Fprintf(&text, "  - {name: %s, listen: \"tcp-listen://%s\"}\n", relays[i], relays[i+1])
	}
	c, err := Parse("x", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newSet returns a Set, and applies to it what must be right.
func newSet(t *testing.T) (s *Set, apply func(Config)) {
	s = NewSet(quiet(), new(bytes.Buffer))
	t.Cleanup(func() { s.Shutdown() })
	return s, func(c Config) {
		t.Helper()
		if err := s.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// talk is a connection, and says whether it is answered.
func talk(t *testing.T, to string) (answered func() bool) {
	t.Helper()
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func() bool {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte("x")); err != nil {
			return false
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err == nil
	}
}

func states(s *Set) (all string) {
	for _, f := range s.facts() {
		all += fmt.Sprintf("%s %s %d;", f.Name, f.State, f.Open)
	}
	return all
}

func TestARelayThatComesBackHasTheConnectionsItHad(t *testing.T) {
	target, here, there := echo(t), free(t), free(t)
	s, apply := newSet(t)
	apply(config(t, target, "one", here))
	answered := talk(t, here)
	if !answered() {
		t.Fatal("is not forwarded")
	}
	apply(config(t, target, "one", there))
	if !answered() {
		t.Error("the connection does not outlive its relay")
	}
	if got := states(s); got != "one leaving 1;one listening 0;" && got != "one listening 0;one leaving 1;" {
		t.Errorf("stand as %s", got)
	}
	if c, err := net.Dial("tcp", here); err == nil {
		c.Close()
		t.Error("a relay that is gone accepts")
	}
	w := httptest.NewRecorder() // two series of one name and labels would be refused
	s.web.handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Errorf("metrics: %d %s", w.Code, w.Body)
	}

	apply(config(t, target, "two", here))
	if !answered() || !talk(t, here)() {
		t.Error("a relay that came back does not forward")
	}
	if got := states(s); !strings.Contains(got, "two listening 2;") {
		t.Errorf("stand as %s", got)
	}
}

func TestWhatCannotBeOpenedChangesNothing(t *testing.T) {
	target, here, there := echo(t), free(t), free(t)
	s, apply := newSet(t)
	apply(config(t, target, "one", here))
	before := states(s)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := config(t, target, "two", here, "three", there, "four", taken.Addr().String())
	c.HTTP = taken.Addr().String()
	c.Access.File = "/no/such/folder"
	err = s.Apply(t.Context(), c)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("says %v, want three lines", err)
	}
	if states(s) != before {
		t.Errorf("stand as %s, and not as before: %s", states(s), before)
	}
	if s.lastChange().failed == nil {
		t.Error("nobody is told that it was refused")
	}
	l, err := net.Listen("tcp", there) // it was opened, and closed again
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	apply(config(t, target, "one", here))
	if s.lastChange().failed != nil {
		t.Error("is told to be refused although it was not")
	}
}

func TestARelayIsForgottenWithItsLastConnection(t *testing.T) {
	target, here := echo(t), free(t)
	s, apply := newSet(t)
	apply(config(t, target, "one", here, "other", free(t)))
	answered := talk(t, here)
	if !answered() {
		t.Fatal("is not forwarded")
	}
	apply(config(t, target, "other", free(t)))
	s.mu.Lock()
	for _, one := range s.running {
		one.gone = one.gone.Add(-2 * forgetAfter) // as if it were long ago
	}
	s.mu.Unlock()
	s.Tidy()
	if !strings.Contains(states(s), "one leaving 1;") {
		t.Errorf("stand as %s", states(s))
	}
	if !s.kill(s.connections(choice{}).Some[0].ID) {
		t.Fatal("no connection")
	}
	for late := time.Now().Add(10 * time.Second); s.count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the connection is not over")
		}
	}
	if answered() {
		t.Error("an ended connection goes on")
	}
	s.Tidy()
	if strings.Contains(states(s), "one") {
		t.Errorf("stand as %s", states(s))
	}
}

func TestAConnectionIsEndedByNobodyElsesPage(t *testing.T) {
	target, here := echo(t), free(t)
	s, apply := newSet(t)
	apply(config(t, target, "one", here))
	answered := talk(t, here)
	if !answered() {
		t.Fatal("is not forwarded")
	}
	kill := func(site string) int {
		r := httptest.NewRequest("DELETE", fmt.Sprintf("/api/v1/connections/%d", s.connections(choice{}).Some[0].ID), nil)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		s.web.handler.ServeHTTP(w, r)
		return w.Code
	}
	if code := kill("cross-site"); code != 403 || !answered() {
		t.Errorf("another site's page gets %d", code)
	}
	if code := kill("same-origin"); code != 204 || answered() {
		t.Errorf("our page gets %d", code)
	}
}

func TestARelayWithManyConnectionsLeavesOthersRoomOnThePage(t *testing.T) {
	for _, test := range []struct {
		want, got []int
		have      int
	}{
		{[]int{9000, 30, 0}, []int{170, 30, 0}, 200},
		{[]int{9000, 9000, 50}, []int{75, 75, 50}, 200},
		{[]int{1, 2, 3}, []int{1, 2, 3}, 200},
		{[]int{5, 5, 5}, []int{0, 1, 1}, 2},
		{nil, []int{}, 200},
	} {
		if got := shares(test.want, test.have); !slices.Equal(got, test.got) {
			t.Errorf("%d among %v are %v, want %v", test.have, test.want, got, test.got)
		}
	}
	target, one, two := echo(t), free(t), free(t)
	s, apply := newSet(t)
	apply(config(t, target, "one", one, "two", two))
	for _, here := range []string{two, one, one, one} {
		if !talk(t, here)() {
			t.Fatal("is not forwarded")
		}
	}
	var has []string
	got := s.fairly(3)
	for _, c := range got.Some {
		has = append(has, c.Relay)
	}
	if !slices.Equal(has, []string{"one", "one", "two"}) || got.Total != 4 {
		t.Errorf("has those of %v, of %d", has, got.Total)
	}
}

// TestConnectionsAreListedAsTheyAreAskedFor with how many there are besides.
func TestConnectionsAreListedAsTheyAreAskedFor(t *testing.T) {
	target, one, two := echo(t), free(t), free(t)
	s, apply := newSet(t)
	apply(config(t, target, "one", one, "two", two))
	var numbers []uint64 // in the order in which they come
	for i, here := range []string{one, two, one, one} {
		answered := talk(t, here)
		for range 4 - i { // the first moves most
			if !answered() {
				t.Fatal("is not forwarded")
			}
		}
		numbers = append(numbers, s.connections(choice{}).Some[0].ID)
	}
	for query, want := range map[string]struct {
		total int
		which []int
	}{
		"":                          {4, []int{3, 2, 1, 0}},
		"limit=0":                   {4, []int{3, 2, 1, 0}},
		"limit=2":                   {4, []int{3, 2}},
		"limit=2&sort=recent":       {4, []int{3, 2}},
		"limit=3&sort=bytes":        {4, []int{0, 1, 2}},
		"relay=one&limit=2":         {3, []int{3, 2}},
		"relay=two&sort=bytes":      {1, []int{1}},
		"relay=none":                {0, nil},
		"relay=one&sort=bytes&x=17": {3, []int{0, 2, 3}},
	} {
		w := httptest.NewRecorder()
		s.web.handler.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/connections?"+query, nil))
		var got connections
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var which []int
		for _, c := range got.Some {
			which = append(which, slices.Index(numbers, c.ID))
		}
		if got.Total != want.total || !slices.Equal(which, want.which) {
			t.Errorf("?%s: %v of %d, want %v of %d", query, which, got.Total, want.which, want.total)
		}
	}
}

// TestAfterAShutdownTheSocketIsGone, so that who is to listen there next finds nothing, and the process may end.
func TestAfterAShutdownTheSocketIsGone(t *testing.T) {
	for range 20 {
		s := NewSet(quiet(), new(bytes.Buffer))
		path := filepath.Join(t.TempDir(), "s")
		one, err := FromFlags("unix-listen:"+path, []string{"127.0.0.1:1"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), Config{Relays: []Relay{one}}); err != nil {
			t.Fatal(err)
		}
		s.Shutdown()
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Fatalf("the socket is still there: %v", err)
		}
	}
}

// TestARelayThatIsGoneCanComeBackAtOnce, although its address is let go of beside what takes it from the Config.
func TestARelayThatIsGoneCanComeBackAtOnce(t *testing.T) {
	_, apply := newSet(t)
	target := echo(t)
	stays, comes := free(t), free(t)
	without, with := config(t, target, "stays", stays), config(t, target, "stays", stays, "comes", comes)
	for range 200 {
		apply(with)
		apply(without)
	}
	apply(with)
	if !talk(t, comes)() {
		t.Error("it does not serve")
	}
}

// TestWhatAReloadCannotChangeIsSaid each time: options of a socket that is open. Others are changed.
func TestWhatAReloadCannotChangeIsSaid(t *testing.T) {
	var log bytes.Buffer
	s := NewSet(slog.New(slog.NewTextHandler(&log, nil)), io.Discard)
	t.Cleanup(func() { s.Shutdown() })
	at := free(t)
	for _, step := range []struct {
		options string
		told    bool
	}{{"?sndbuf=64KiB", false}, {"?sndbuf=64KiB", false}, {"", true}, {"?sndbuf=64KiB&rcvbuf=64KiB", true}, {"?sndbuf=64KiB", false}} {
		one, err := FromFlags("tcp-listen://"+at+step.options, []string{"127.0.0.1:1"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if err := s.Apply(t.Context(), Config{Relays: []Relay{one}}); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(log.String(), "level=WARN"); told != step.told {
			t.Errorf("%q:\n%s", step.options, &log)
		}
	}
}

// TestAPortIsListenedAtByAnotherAddress after a reload, although it is in use until the one before has been given up. If
// that does not help, everything is as it was.
func TestAPortIsListenedAtByAnotherAddress(t *testing.T) {
	target, here, tells := echo(t), free(t), free(t)
	s, apply := newSet(t)
	_, port, err := net.SplitHostPort(here)
	if err != nil {
		t.Fatal(err)
	}
	_, tellsPort, err := net.SplitHostPort(tells)
	if err != nil {
		t.Fatal(err)
	}
	one := config(t, target, "one", here)
	one.HTTP = tells
	apply(one)
	before := talk(t, here)
	told := func() {
		t.Helper()
		talk(t, tells)
		if got := s.web.place(); got != tells && got != "0.0.0.0:"+tellsPort {
			t.Errorf("is told of at %q", got)
		}
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	wrong := config(t, target, "one", "0.0.0.0:"+port, "other", taken.Addr().String())
	wrong.HTTP = "0.0.0.0:" + tellsPort
	if err := s.Apply(t.Context(), wrong); err == nil || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("says %v", err)
	}
	if !before() || !talk(t, here)() {
		t.Error("it is not as it was")
	}
	told()

	for _, host := range []string{"0.0.0.0", "127.0.0.1", ""} {
		c := config(t, target, "one", host+":"+port)
		c.HTTP = "0.0.0.0:" + tellsPort
		apply(c)
		if !before() || !talk(t, here)() {
			t.Errorf("at %q nobody is forwarded", host)
		}
		told()
		there := func(r running) bool { return r.gone.IsZero() && r.spec.place() == host+":"+port }
		if !slices.ContainsFunc(s.all(), there) {
			t.Errorf("at %q: stands as %s", host, states(s))
		}
	}
}
