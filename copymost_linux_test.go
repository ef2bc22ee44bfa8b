package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// TestASourceThatGivesTooMuchIsToldApartFromOneThatEnds, and nobody is told an end that there was not.
func TestASourceThatGivesTooMuchIsToldApartFromOneThatEnds(t *testing.T) {
	const most = 300 << 10
	data := pattern(most + 1)
	for _, opts := range [][]penstock.Option{nil, {penstock.WithoutSplice()}} {
		for _, n := range []int{0, most - 1, most, most + 1} {
			t.Run(fmt.Sprintf("%d bytes, %d options", n, len(opts)), func(t *testing.T) {
				near, far := socket(t, "tcp")
				go func() { far.Write(data[:n]); far.(interface{ CloseWrite() error }).CloseWrite() }()
				dst, got := socket(t, "tcp")
				rep, err := penstock.Copy(context.Background(), dst, near,
					append(opts, penstock.WithMost(most), penstock.WithHalfClose())...)
				if rep.Ended != (err == nil) || rep.Delivered != int64(min(n, most)) {
					t.Errorf("%+v: %v", rep, err)
				}
				if n <= most {
					if err != nil {
						t.Error(err)
					}
					arrives(t, got, data[:n])
					return
				}
				var op *penstock.OpError
				if !errors.Is(err, penstock.ErrTooMuch) || !errors.As(err, &op) || op.Side != penstock.SideSource || op.InFlight == nil {
					t.Fatalf("%#v", err)
				}
				if over, err := io.ReadAll(op.InFlight); err != nil || !bytes.Equal(over, data[most:]) {
					t.Errorf("in flight: %x, %v; want %x", over, err, data[most:])
				}
				got.SetReadDeadline(time.Now().Add(10 * time.Second))
				had := make([]byte, most)
				if _, err := io.ReadFull(got, had); err != nil || !bytes.Equal(had, data[:most]) {
					t.Errorf("the sink has other bytes: %v", err)
				}
				got.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				if m, err := got.Read(had); err == io.EOF || m > 0 {
					t.Errorf("the sink was told an end: %d, %v", m, err)
				}
			})
		}
	}
}

// arrives reads a connection to its end.
func arrives(t *testing.T, c io.Reader, want []byte) {
	t.Helper()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d arrive: %v", len(got), len(want), err)
	}
}

// TestBothStopsAtAnyTime, also before it runs, and tells why.
func TestBothStopsAtAnyTime(t *testing.T) {
	why := errors.New("enough")
	for _, early := range []bool{true, false} {
		a, _ := socket(t, "tcp")
		b, client := socket(t, "tcp")
		both := penstock.NewBoth(a, b)
		if early {
			both.Stop(why)
		} else {
			go func() { client.Write([]byte("x")) }()
			time.AfterFunc(50*time.Millisecond, func() { both.Stop(why) })
		}
		_, back, err := both.Run(context.Background())
		if !errors.Is(err, why) || back.Ended || !early && back.Delivered != 1 {
			t.Errorf("early %v: %+v, %v", early, back, err)
		}
		both.Stop(nil) // when it is over nothing comes of it
	}
}
