package penstock

import (
	"errors"
	"io"
	"syscall"
	"testing"
)

// TestAReservationWakesTheNextWriter: one event makes room for both.
func TestAReservationWakesTheNextWriter(t *testing.T) {
	for _, v := range putters {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := smallPipe(t, 4)
				lend(t, p, 4)
				defer func() { p.Commit(0) }()
				served(t, p, 4, func(i int) error {
					if i == 0 {
						_, err := p.Reserve(10)
						return err
					}
					return v.call(t, background, p)
				}, func() { p.Discard(4) })
			})
		})
	}
}

// TestASlotThatIsGivenUpIsTheNextWriters.
func TestASlotThatIsGivenUpIsTheNextWriters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 1)
		if _, err := p.Reserve(10); err != nil {
			t.Fatal(err)
		}
		woken := waits(t, func() error { _, err := p.Write([]byte("x")); return err })
		if err := p.Commit(0); err != nil {
			t.Error(err)
		}
		woken(nil)
	})
}

// closing is a sink whose ends are closed, by others, between Reserve and Commit.
type closing struct {
	pipe  *Pipe
	close func(*Pipe) error
}

func (c closing) Reserve(n int) ([]byte, error) {
	b, err := c.pipe.Reserve(n)
	c.close(c.pipe)
	return b, err
}

func (c closing) Commit(n int) error          { return c.pipe.Commit(n) }
func (c closing) Write(b []byte) (int, error) { return c.pipe.Write(b) }

// TestACommitThatFailsLeavesNothingBehind: the space is given up, and the bytes are still the source's.
func TestACommitThatFailsLeavesNothingBehind(t *testing.T) {
	for name, c := range map[string]struct {
		close func(*Pipe) error
		want  error
	}{
		"CloseRead":  {(*Pipe).CloseRead, syscall.EPIPE},
		"CloseWrite": {(*Pipe).CloseWrite, io.ErrClosedPipe},
		"Close":      {(*Pipe).Close, io.ErrClosedPipe},
	} {
		t.Run(name, func(t *testing.T) {
			leakless(t)
			src, dst := smallPipe(t, 4), NewPipe(4)
			src.Write([]byte("kept"))
			n, err := Splice(background, closing{dst, c.close}, src, 4, 0)
			if side, _ := SideOf(err); n != 0 || !errors.Is(err, c.want) || side != SideSink {
				t.Errorf("%d, %v", n, err)
			}
			if got := mustRead(t, src, 4); got != "kept" {
				t.Errorf("%q", got)
			}
			dst.Close()
		})
	}
}

// TestPeekDoesNotSplitAPacket: what it brings together for the reader to look at is still one.
func TestPeekDoesNotSplitAPacket(t *testing.T) {
	leakless(t)
	for _, peek := range []int{1, 3, 10, 11} {
		p, err := OpenPipe(PipeConfig{Slots: 4, PageSize: MinPageSize, Packet: true})
		if err != nil {
			t.Fatal(err)
		}
		d := newDevice(t, p, "0123456789")
		close(d.ready)
		b, err := NewBuffer(d, 0, 10, BufPacket)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Push(background, b, 0); err != nil {
			t.Fatal(err)
		}
		p.Write([]byte("next"))
		got, err := p.Peek(peek)
		if peek > 10 != errors.Is(err, syscall.EMSGSIZE) || string(got) != "0123456789"[:min(peek, 10)] {
			t.Errorf("Peek(%d): %q, %v", peek, got, err)
		}
		for _, want := range []string{"0123456789", "next"} {
			buf := make([]byte, 99)
			if n, err := p.Read(buf); string(buf[:n]) != want || err != nil {
				t.Errorf("after Peek(%d): %q, %v", peek, buf[:n], err)
			}
		}
		p.Close()
	}
}
