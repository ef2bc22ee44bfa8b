package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// TestAQueueIsWaitedForAsLongAsItMayLinger, and what its output lacks then is in flight.
func TestAQueueIsWaitedForAsLongAsItMayLinger(t *testing.T) {
	never, theirs := net.Pipe()
	defer never.Close()
	defer theirs.Close()
	opens := penstock.NewLate(func(ctx context.Context) (io.WriteCloser, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for name, w := range map[string]io.Writer{"takes nothing": never, "is not open": opens} {
		var got bytes.Buffer
		rep, err := penstock.Copy(t.Context(), &got, strings.NewReader("some bytes"), penstock.WithTee(w),
			penstock.WithQueue(1, penstock.Queue{Size: 100, Linger: time.Millisecond}))
		ops := penstock.Failures(err)
		if !errors.Is(err, penstock.ErrQueueLate) || len(ops) != 1 || ops[0].InFlight == nil || ops[0].InFlight.Len() != 10 {
			t.Errorf("%s: %v", name, err)
		}
		if got.String() != "some bytes" || rep.Outputs[1].Delivered != 0 {
			t.Errorf("%s: %q, %+v", name, &got, rep.Outputs)
		}
	}
}

// TestTheEndsAreFreeWhenAllHasMoved although a further output has not had everything; of a CopyBoth when that is so
// both ways, and a peer that fails is told of at once.
func TestTheEndsAreFreeWhenAllHasMoved(t *testing.T) {
	for _, reset := range []bool{false, true} {
		a, client := socket(t, "tcp")
		b, server := socket(t, "tcp")
		stuck, theirs := net.Pipe()
		defer theirs.Close()
		moved := make(chan struct{})
		done := make(chan error)
		go func() {
			_, _, err := penstock.CopyBoth(t.Context(), a, b, penstock.WithMoved(func() {
				a.Close()
				b.Close()
				close(moved)
			}), penstock.WithTee(stuck), penstock.WithQueue(1, penstock.Queue{Size: 100}),
				penstock.WithOutputErrors(func(*penstock.OpError) bool { return true }))
			done <- err
		}()
		if _, err := client.Write([]byte("some bytes")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if reset {
			_ = client.(*net.TCPConn).SetLinger(0)
			client.Close()
		} else if err := errors.Join(server.(*net.TCPConn).CloseWrite(), client.(*net.TCPConn).CloseWrite()); err != nil {
			t.Fatal(err)
		}
		<-moved
		if _, err := server.Read(make([]byte, 1)); err == nil {
			t.Error("the server still hears something")
		}
		select {
		case err := <-done:
			t.Fatalf("reset %v: it is over before its queue is empty: %v", reset, err)
		default:
		}
		stuck.Close()
		if err := <-done; !errors.As(err, new(*penstock.OutputError)) {
			t.Errorf("%v", err)
		}
	}
}
