package penstock_test

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// packets is a pipe of packets: a read of a part of one drops the rest of it.
func packetsIn(t *testing.T, each ...[]byte) *os.File {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_DIRECT|unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Skip(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	fed := make(chan struct{})
	go func() { // a user without a pipe budget has two slots
		defer close(fed)
		defer w.Close()
		for _, b := range each {
			if _, err := w.Write(b); err != nil {
				t.Errorf("feeding the source: %v", err)
			}
		}
	}()
	t.Cleanup(func() { r.Close(); <-fed })
	return r
}

// TestPartOfAPacketLeavesItsRest: a rate or a limit asks for less than a packet. A read of so much would drop the rest.
func TestPartOfAPacketLeavesItsRest(t *testing.T) {
	data := pattern(3000)
	for _, by := range manners(t) {
		if by.name == "no splice" || by.name == "no pipe to be had" {
			continue // by read alone it cannot be had
		}
		for _, to := range termini() {
			if to.name == "FIFO" || to.name == "KernelPipe" {
				continue // where packets stay packets: see below
			}
			for name, part := range map[string]penstock.Option{
				"a limit": penstock.WithLimit(150), "a rate": penstock.WithRate(8000),
			} {
				t.Run(to.name+", "+by.name+", "+name, func(t *testing.T) {
					dst, got := opened(t, to)
					src := packetsIn(t, data[:1000], data[1000:2000], data[2000:])
					for _, opts := range [][]penstock.Option{append(by.opts, part), by.opts} { // and what a limit leaves
						if _, err := penstock.Copy(background, dst, src, opts...); err != nil {
							t.Fatal(err)
						}
					}
					if b := got(); !bytes.Equal(b, data) {
						t.Errorf("%d bytes of %d, or others", len(b), len(data))
					}
				})
			}
		}
	}
}

// TestPacketsAreAStreamToTheSink, but where that is a pipe and the packets are spliced into it: then they stay packets, as
// with splice(2), and each read that asks for less than one drops the rest.
func TestPacketsAreAStreamToTheSink(t *testing.T) {
	data := pattern(3000)
	for _, by := range manners(t) {
		for _, to := range termini() {
			if by.name != "no splice" && (to.name == "FIFO" || to.name == "KernelPipe") {
				continue
			}
			t.Run(to.name+", "+by.name, func(t *testing.T) {
				dst, got := opened(t, to)
				src := packetsIn(t, data[:1000], data[1000:2000], data[2000:])
				if _, err := penstock.Copy(background, dst, src, by.opts...); err != nil {
					t.Fatal(err)
				}
				if b := got(); !bytes.Equal(b, data) {
					t.Errorf("%d bytes of %d, or others", len(b), len(data))
				}
			})
		}
	}
}
