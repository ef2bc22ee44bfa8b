package penstock

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a reader and a writer whose calls wait until it is opened. Each tells that it has begun.
type gate struct{ begun, open chan struct{} }

func newGate() gate { return gate{make(chan struct{}, 1), make(chan struct{})} }

func (g gate) Read(b []byte) (int, error) {
	g.begun <- struct{}{}
	<-g.open
	return copy(b, "x"), nil
}

func (g gate) Write(b []byte) (int, error) {
	g.begun <- struct{}{}
	<-g.open
	return len(b), nil
}

// TestTheEndReachesEveryReader: the write end closes while what comes before the end is being taken out, or is still
// being read in, so that it is no end yet when everybody is woken.
func TestTheEndReachesEveryReader(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin func(p *Pipe, g gate)
	}{
		{"after a claim settles", func(p *Pipe, g gate) {
			p.Write([]byte("hello"))
			p.WriteTo(g)
		}},
		{"after a promise is kept", func(p *Pipe, g gate) { Splice(background, p, g, 10, 0) }},
		{"after a promise is let go", func(p *Pipe, g gate) {
			Splice(background, p, readerFunc(func(b []byte) (int, error) {
				_, _ = g.Read(b)
				return 0, io.EOF
			}), 10, 0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, g := smallPipe(t, 4), newGate()
				go c.begin(p, g)
				<-g.begun
				const readers = 4
				var wg sync.WaitGroup
				for range readers {
					wg.Go(func() {
						for {
							_, err := p.Read(make([]byte, 10))
							if err == io.EOF {
								return
							}
							if err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				synctest.Wait()
				p.CloseWrite()
				synctest.Wait()
				close(g.open)
				wg.Wait() // else the bubble says who is stuck
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestThePipeIsClosedWhenBothItsEndsAre, in whichever order: nothing is charged for it, timed or kept for it any more.
func TestThePipeIsClosedWhenBothItsEndsAre(t *testing.T) {
	for _, c := range []struct {
		name  string
		close []func(*Pipe) error
	}{
		{"read, write", []func(*Pipe) error{(*Pipe).CloseRead, (*Pipe).CloseWrite}},
		{"write, read", []func(*Pipe) error{(*Pipe).CloseWrite, (*Pipe).CloseRead}},
		{"both", []func(*Pipe) error{(*Pipe).Close}},
		{"both, read, write", []func(*Pipe) error{(*Pipe).Close, (*Pipe).CloseRead, (*Pipe).CloseWrite}},
	} {
		t.Run(c.name, func(t *testing.T) {
			leakless(t)
			q := NewQuota(0, 0)
			p, err := OpenPipe(PipeConfig{PageSize: MinPageSize, Quota: q})
			if err != nil {
				t.Fatal(err)
			}
			p.Write([]byte("never read"))
			p.SetDeadline(time.Now().Add(time.Hour))
			for _, end := range c.close {
				if err := end(p); err != nil {
					t.Error(err)
				}
			}
			if q.Used() != 0 {
				t.Errorf("%d pages are charged", q.Used())
			}
			if p.readable.deadline != nil || p.writable.deadline != nil {
				t.Error("a timer runs")
			}
			if err := p.Resize(4); !errors.Is(err, syscall.EBADF) {
				t.Errorf("resize: %v", err)
			}
			if err := p.SetReadDeadline(time.Time{}); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("deadline: %v", err)
			}
			if _, err := p.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("read: %v", err)
			}
			if _, err := p.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("write: %v", err)
			}
		})
	}
}

// TestUnreadWaitsForASinkNoLongerThanTheDeadline: then the buffer is the caller's.
func TestUnreadWaitsForASinkNoLongerThanTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, g := smallPipe(t, 4), newGate()
		lend(t, p, 2)
		b, err := p.Pull(background, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		go Splice(background, g, p, 1, 0)
		<-g.begun
		woken := waits(t, func() error { return p.Unread(b) })
		p.SetReadDeadline(time.Now().Add(time.Minute))
		time.Sleep(time.Minute)
		woken(os.ErrDeadlineExceeded)
		p.SetReadDeadline(time.Time{})
		close(g.open)
		synctest.Wait()
		if err := p.Unread(b); err != nil || p.Len() != 1 {
			t.Errorf("%v, %d bytes", err, p.Len())
		}
	})
}

// TestATeeWaitsForItsOwnRoomOnly: that the source is being taken out is nothing to it.
func TestATeeWaitsForItsOwnRoomOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		src, dst, g := smallPipe(t, 4), smallPipe(t, 1), newGate()
		src.Write([]byte("hello"))
		lend(t, dst, 1)
		go Splice(background, g, src, 5, 0)
		<-g.begun
		_, err := Tee(background, dst, src, 5, NonBlock)
		if side, _ := SideOf(err); !errors.Is(err, ErrWouldBlock) || side != SideSink {
			t.Errorf("%v", err)
		}
		woken := waits(t, func() error { _, err := Tee(background, dst, src, 5, 0); return err })
		mustRead(t, dst, 1)
		woken(nil)
		if got := mustRead(t, dst, 5); got != "hello" {
			t.Errorf("%q", got)
		}
		close(g.open)
		if synctest.Wait(); src.Len() != 0 {
			t.Errorf("%d bytes are left", src.Len())
		}
	})
}
