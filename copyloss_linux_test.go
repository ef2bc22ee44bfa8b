package penstock_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// The two cases in which io.Copy loses what it had taken from its source. What io.Copy does is logged, for another Go
// may do better; what Copy does is asserted.

// slowSink is a connection whose peer reads nothing before received is called, and whose writes have a deadline.
func slowSink(t *testing.T) (near net.Conn, received func() []byte) {
	t.Helper()
	near, far := socket(t, "tcp")
	squeeze(t, near, far)
	near.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	return near, standsStill(t, far, 0, func() { near.Close() })
}

func TestIOCopyLosesWhatItHadInFlightAtAWriteDeadlineAndCopyDoesNot(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 32)

	src := tcpSource(t, data)
	sink, received := slowSink(t)
	n, err := io.Copy(sink, src)
	got := received()
	rest, rerr := io.ReadAll(src)
	if rerr != nil {
		t.Fatal(rerr)
	}
	t.Logf("io.Copy: %d, %v: %d bytes were received and %d were left of %d: %d are lost",
		n, err, len(got), len(rest), len(data), len(data)-len(got)-len(rest))

	src = tcpSource(t, data)
	sink, received = slowSink(t)
	rep, err := penstock.Copy(background, sink, src)
	op := failedAt(t, err, penstock.SideSink, rep.Delivered, os.ErrDeadlineExceeded)
	accounted(t, data, rep, op)
	inFlight := inFlightOf(t, op)
	if len(inFlight) == 0 {
		t.Error("nothing was in flight: this shows nothing")
	}
	got = received()
	if int64(len(got)) != rep.Delivered {
		t.Errorf("%d bytes were received, and %d were delivered", len(got), rep.Delivered)
	}
	rest, rerr = io.ReadAll(src)
	all := append(append(got, inFlight...), rest...)
	if rerr != nil || !bytes.Equal(all, data) {
		t.Errorf("%d bytes were received, %d were in flight and %d were left of %d, or others: %v",
			len(got), len(inFlight), len(rest), len(data), rerr)
	}
	t.Logf("Copy: %v: %d bytes were received, %d were in flight, %d were left of %d",
		err, len(got), len(inFlight), len(rest), len(data))
}

func TestIOCopyLosesWhatALateRefusalLeftAndCopyDoesNot(t *testing.T) {
	data := pattern(50_000)
	for name, open := range map[string]func(t *testing.T) *os.File{
		"/dev/full": func(t *testing.T) *os.File { return tempDevice(t, "/dev/full") },
		"O_APPEND":  func(t *testing.T) *os.File { return tempFile(t, nil, os.O_RDWR|os.O_APPEND) },
	} {
		t.Run(name, func(t *testing.T) {
			has := func(f *os.File) []byte {
				if name == "/dev/full" {
					return nil
				}
				b, err := os.ReadFile(f.Name())
				if err != nil {
					t.Error(err)
				}
				return b
			}
			src, f := tcpSource(t, data), open(t)
			n, err := io.Copy(f, src)
			got := has(f)
			rest, rerr := io.ReadAll(src)
			if rerr != nil {
				t.Fatal(rerr)
			}
			t.Logf("io.Copy: %d, %v: the file has %d bytes and %d were left of %d: %d are lost",
				n, err, len(got), len(rest), len(data), len(data)-len(got)-len(rest))

			src, f = tcpSource(t, data), open(t)
			rep, err := penstock.Copy(background, f, src)
			got = has(f)
			if name == "O_APPEND" && (err != nil || !bytes.Equal(got, data)) {
				t.Errorf("%v: %d bytes of %d, or others", err, len(got), len(data))
			}
			if name == "/dev/full" {
				accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, syscall.ENOSPC))
				completes(t, data, src, err)
			}
			t.Logf("Copy: %v, %v", rep, err)
		})
	}
}
