package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// terminal returns a terminal that blocks, as an inherited stdin or stdout does, and the end that a person sits at. It
// passes bytes on as they are.
func terminal(t *testing.T) (tty, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { person.Close() })
	raw, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	cerr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err := errors.Join(cerr, err); err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	fd, err := syscall.Open(fmt.Sprintf("/dev/pts/%d", n), syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	tty = os.NewFile(uintptr(fd), "terminal")
	t.Cleanup(func() { tty.Close() })
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	modes.Iflag, modes.Oflag, modes.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, modes); err != nil {
		t.Fatal(err)
	}
	return tty, person
}

func TestACopyReadsAndWritesATerminal(t *testing.T) {
	data := pattern(50_000)
	for _, by := range manners(t) {
		t.Run("to, "+by.name, func(t *testing.T) {
			tty, person := terminal(t)
			got := make([]byte, len(data))
			read := make(chan error, 1)
			go func() { _, err := io.ReadFull(person, got); read <- err }()
			rep, err := penstock.Copy(background, tty, bytes.NewReader(data), by.opts...)
			if err := errors.Join(err, <-read); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%v, %v", rep, err)
			}
		})
		t.Run("from, "+by.name, func(t *testing.T) {
			tty, person := terminal(t)
			go person.Write(data)
			var got bytes.Buffer
			opts := append([]penstock.Option{penstock.WithLimit(int64(len(data)))}, by.opts...)
			rep, err := penstock.Copy(background, &got, tty, opts...)
			if err != nil || !bytes.Equal(got.Bytes(), data) {
				t.Errorf("%v, %v", rep, err)
			}
		})
	}
}

// TestACopyToATerminalThatNobodyReadsIsInterrupted: a terminal that says it can be written to has room for one byte.
func TestACopyToATerminalThatNobodyReadsIsInterrupted(t *testing.T) {
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			tty, _ := terminal(t)
			ctx, cancel := context.WithCancelCause(background)
			defer cancel(nil)
			tr := penstock.NewTransfer(tty, reading(func(b []byte) (int, error) { return len(b), nil }), by.opts...)
			go func() {
				stalled(t, tr, penstock.SideSink)
				cancel(errGone)
			}()
			rep, err := tr.Run(ctx)
			op := failedAt(t, err, penstock.SideSink, rep.Delivered, errGone)
			if int64(op.InFlight.Len()) != rep.Consumed-rep.Delivered {
				t.Errorf("%v, and %d in flight", rep, op.InFlight.Len())
			}
			raw, rerr := tty.SyscallConn() // not Fd, which would set the flag right
			flags := 0
			cerr := raw.Control(func(fd uintptr) { flags, rerr = unix.FcntlInt(fd, unix.F_GETFL, 0) })
			if err := errors.Join(rerr, cerr); err != nil || flags&unix.O_NONBLOCK != 0 {
				t.Errorf("the terminal is left with flags %#x, %v: others share them", flags, err)
			}
		})
	}
}
