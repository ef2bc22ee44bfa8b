package penstock_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// What the tests of a failed Copy share: that delivered and in flight together are what was consumed, byte for byte.

// stalled returns when a transfer waits for that side, and has for a while.
func stalled(t *testing.T, tr *penstock.Transfer, side penstock.Side) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	give := time.After(5 * time.Second)
	for {
		if r := tr.Report(); r.Waiting == side && r.Since > 20*time.Millisecond {
			return
		}
		select {
		case <-look.C:
		case <-give:
			t.Errorf("it does not wait for the %v: %+v", side, tr.Report())
			return
		}
	}
}

// reading and writing are a reader and a writer that are one function.
type (
	reading func([]byte) (int, error)
	writing func([]byte) (int, error)
)

func (f reading) Read(b []byte) (int, error)  { return f(b) }
func (f writing) Write(b []byte) (int, error) { return f(b) }

var errGone = errors.New("the caller has gone")

// manner is how a transfer is made to move its bytes.
type manner struct {
	name string
	opts []penstock.Option
}

func manners(t *testing.T) []manner {
	t.Helper()
	none := penstock.NewPool(1)
	t.Cleanup(func() { none.Close() })
	return []manner{
		{"any way", nil},
		{"no splice", []penstock.Option{penstock.WithoutSplice()}},
		{"no pipe to be had", []penstock.Option{penstock.WithPool(none)}},
		{"pipes of two slots", []penstock.Option{penstock.WithPipeSize(8 << 10)}},
	}
}

// inFlightOf returns what is in flight of a failed transfer, and leaves it there.
func inFlightOf(t *testing.T, op *penstock.OpError) []byte {
	t.Helper()
	if op.InFlight == nil {
		return nil
	}
	b := make([]byte, op.InFlight.Len()+1)
	n, err := op.InFlight.PeekInto(b)
	if err != nil || n == 0 {
		t.Errorf("in flight: %d bytes, %v", n, err)
	}
	return b[:n]
}

// failedAt takes the error of a transfer, and looks at its side, its offset and its cause.
func failedAt(t *testing.T, err error, side penstock.Side, offset int64, causes ...error) *penstock.OpError {
	t.Helper()
	var op *penstock.OpError
	if !errors.As(err, &op) {
		t.Fatalf("the error is %v", err)
	}
	if op.Side != side || op.Offset != offset {
		t.Errorf("it failed on the %v at %d, not on the %v at %d: %v", op.Side, op.Offset, side, offset, err)
	}
	known := len(causes) == 0
	for _, cause := range causes {
		known = known || errors.Is(err, cause)
	}
	if !known {
		t.Errorf("the cause is %v, and should be one of %v", err, causes)
	}
	return op
}

// accounted looks whether what is in flight is all that has left the source and not reached the sink.
func accounted(t *testing.T, data []byte, rep penstock.Report, op *penstock.OpError) {
	t.Helper()
	if rep.Delivered > rep.Consumed || rep.Consumed > int64(len(data)) {
		t.Fatalf("delivered %d, consumed %d, of %d", rep.Delivered, rep.Consumed, len(data))
	}
	if b := inFlightOf(t, op); !bytes.Equal(b, data[rep.Delivered:rep.Consumed]) {
		t.Fatalf("delivered %d, consumed %d, and in flight are %d bytes, or others", rep.Delivered, rep.Consumed, len(b))
	}
}

// completes resumes a failed transfer to a second sink, and looks whether that gets just what is missing.
func completes(t *testing.T, missing []byte, src io.Reader, failed error, opts ...penstock.Option) {
	t.Helper()
	var second bytes.Buffer
	rep, err := penstock.Resume(background, &second, src, failed, opts...)
	if err != nil {
		t.Fatalf("resumed: %v", err)
	}
	if !bytes.Equal(second.Bytes(), missing) {
		t.Fatalf("the second sink got %d bytes, not the %d that were missing, or others", second.Len(), len(missing))
	}
	if n := int64(len(missing)); rep.Consumed != n || rep.Delivered != n {
		t.Errorf("resumed: consumed %d, delivered %d, of %d", rep.Consumed, rep.Delivered, n)
	}
	if op := (*penstock.OpError)(nil); errors.As(failed, &op) && op.InFlight != nil && op.InFlight.Len() != 0 {
		t.Errorf("%d bytes are still in flight to the first", op.InFlight.Len())
	}
}

// exhaustive makes the tests of offsets try each manner at each offset. That takes minutes.
var exhaustive = os.Getenv("PENSTOCK_EXHAUSTIVE") != ""
