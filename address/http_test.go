package address_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	. "github.com/penstock-io/penstock/address"
)

// serve answers until the test ends.
func serve(t *testing.T, f http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func TestAGETIsReadWhole(t *testing.T) {
	want := stream()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Who") != "me" || r.URL.RawQuery != "q=1" || r.Host != "cam.example" {
			t.Error(r.Header, r.URL, r.Host)
		}
		http.ServeContent(w, r, "x.ts", time.Time{}, bytes.NewReader(want))
	})
	for _, tc := range []struct{ offset, size int64 }{{0, int64(len(want))}, {1000, int64(len(want)) - 1000}, {int64(len(want)), 0}} {
		e := open(t, url+"/x?q=1&header=X-Who:me&header=Host:cam.example", Source, Config{Offset: tc.offset})
		if e.Size != tc.size || e.Skip != 0 {
			t.Error(e.Size, e.Skip)
		}
		same(t, drain(t, e), want[tc.offset:])
	}
	if _, err := parse(t, url+"/x?q=1&header=X-Who:me&header=Host:cam.example").
		Open(within(t), Source, Config{Offset: int64(len(want)) + 1}); err == nil || !strings.Contains(err.Error(), "416") {
		t.Error(err)
	}
}

func TestAServerThatKnowsNoRangesLeavesTheSkippingToUs(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("0123456789")) })
	e := open(t, url, Source, Config{Offset: 4})
	if e.Skip != 4 || e.Size != 10 {
		t.Error(e.Skip, e.Size)
	}
	same(t, drain(t, e), []byte("0123456789"))
}

func TestAnAnswerOtherThanYesIsAnError(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			http.NotFound(w, r)
		case "/full":
			_, _ = io.Copy(io.Discard, r.Body)
			http.Error(w, "the disk is full\x07\nreally", http.StatusInternalServerError)
		case "/elsewhere":
			w.Header().Set("Location", "http://else.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		case "/forbidden":
			w.WriteHeader(http.StatusForbidden)
		}
	})
	fails(t, url+"/none?retry=1m", Source, "the server answers 404 Not Found: 404 page not found")
	fails(t, url+"/forbidden", Destination, "the server answers 403 Forbidden")
	fails(t, url+"/elsewhere", Destination, "the server answers 307 Temporary Redirect to http://else.example/")
	e := open(t, url+"/full", Destination, Config{})
	if _, err := penstock.Copy(within(t), e.Writer, bytes.NewReader(stream())); err != nil {
		t.Error(err)
	}
	says(t, e.Address, e.Finish(within(t)), "the server answers 500 Internal Server Error: the disk is full")
	fails(t, "http://"+closedPort(t)+"/", Source, "connect: connection refused")
	fails(t, "http://"+closedPort(t)+"/", Destination, "connect: connection refused")
}

func TestAPUTArrivesWhole(t *testing.T) {
	want := stream()
	got := make(chan []byte, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPut {
			t.Error(r.Method, err)
		}
		got <- b
		w.WriteHeader(http.StatusCreated)
	})
	fill(t, open(t, url, Destination, Config{}), want)
	same(t, <-got, want)
	fill(t, open(t, url, Destination, Config{}), nil)
	same(t, <-got, nil)
}

func TestAnUploadThatIsRefusedInTheMiddleSaysSo(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 1000))
		http.Error(w, "enough", http.StatusInsufficientStorage)
	})
	e := open(t, url, Destination, Config{})
	_, err := penstock.Copy(within(t), e.Writer, zeros{})
	if side, _ := penstock.SideOf(err); side != penstock.SideSink || !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	// The answer may be lost to the reset that follows it.
	if err = e.Close(); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		says(t, e.Address, err, "the server answers 507 Insufficient Storage: enough")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestAnUploadThatIsGivenUpIsNotWhole(t *testing.T) {
	got := make(chan error, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		got <- err
	})
	e := open(t, url, Destination, Config{})
	if _, err := e.Writer.Write([]byte("half")); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; err == nil {
		t.Error("the server takes it for whole")
	}
}

func TestADownloadThatIsCutIsNoEnd(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("half"))
	})
	e := open(t, url, Source, Config{})
	if _, err := penstock.Copy(within(t), io.Discard, e.Reader); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestAServerThatHangsIsCut(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	url := "http://" + mute.Addr().String() + "/"
	isCut(t, url, Source)
	isCut(t, url, Destination)
	fails(t, url+"?timeout=30ms", Source, "timed out after 30ms")
	fails(t, "https"+strings.TrimPrefix(url, "http")+"?timeout=30ms", Source, "timed out after 30ms")
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	e := open(t, slow, Destination, Config{})
	ctx, cancel := contextThatEnds(t)
	defer cancel()
	says(t, e.Address, e.Finish(ctx), "waiting for the server's answer: enough")
}

func TestAServerThatIsNotReadyIsTriedAgain(t *testing.T) {
	var n atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("now"))
	})
	var said []string
	e := open(t, url+"/?retry=20s", Source, Config{Say: func(text string) { said = append(said, text) }})
	same(t, drain(t, e), []byte("now"))
	if len(said) != 1 || said[0] != "cannot connect yet: the server answers 503 Service Unavailable: later; trying again" {
		t.Errorf("%q", said)
	}
}

func TestHTTPSTrustsWhomItIsTold(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hush")) }))
	s.Config.ErrorLog = quiet
	s.StartTLS()
	defer s.Close()
	fails(t, s.URL, Source, "tls: failed to verify certificate: x509: certificate signed by unknown authority")
	same(t, drain(t, open(t, s.URL+"?insecure", Source, Config{})), []byte("hush"))
}
