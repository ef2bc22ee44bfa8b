package mirror

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/penstock-io/penstock/address"
)

// TestAPeerThatTakesItsTimeKeepsNoDescriptors where as many are waited for as may be, and has everything all the same.
func TestAPeerThatTakesItsTimeKeepsNoDescriptors(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		at, scheme := "127.0.0.1:0", "tcp://"
		if network == "unix" {
			at, scheme = t.TempDir()+"/s", "unix:"
		}
		l, err := net.Listen(network, at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		a, err := address.Parse(scheme + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		end, err := a.Open(t.Context(), address.Destination, address.Config{})
		if err != nil {
			t.Fatal(err)
		}
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		if _, err := io.WriteString(end.Writer, "everything"); err != nil {
			t.Fatal(err)
		}
		none := make(chan struct{})
		began := time.Now()
		if err := receive(t.Context(), end, none)(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: it was waited for, for %v", network, took)
		}
		if err := end.Writer.(net.Conn).SetDeadline(began); !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: the connection is still there: %v", network, err)
		}
		_ = peer.SetDeadline(time.Now().Add(10 * time.Second))
		if got, err := io.ReadAll(peer); string(got) != "everything" || err != nil {
			t.Errorf("%s: the peer has %q, %v", network, got, err)
		}
	}
}

// command opens an exec mirror.
func command(t *testing.T, text string) *address.End {
	t.Helper()
	a, err := address.Parse("exec:" + text)
	if err != nil {
		t.Fatal(err)
	}
	end, err := a.Open(t.Context(), address.Destination, address.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// TestACommandThatGoesOnIsNotWaitedForAsOneOfMany: it has a second then, and one that ends has all of it.
func TestACommandThatGoesOnIsNotWaitedForAsOneOfMany(t *testing.T) {
	none := make(chan struct{})
	if err := receive(t.Context(), command(t, "sleep .1; cat >/dev/null"), none)(); err != nil {
		t.Error(err)
	}
	began := time.Now()
	err := receive(t.Context(), command(t, "exec sleep 1000"), none)()
	if took := time.Since(began); err == nil || took < crowdedTimeout || took > finishTimeout/2 {
		t.Errorf("%v after %v", err, took)
	}
}
