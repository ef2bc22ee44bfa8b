package penstock

import (
	"context"
	"errors"
	"io"
	"math"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// What somebody else's pages, readers and writers may do, short of what can be borne: they panic, they name lengths that
// they do not have, and their errors look like those of a context.

// explosive is a page that panics where it is told to, until it is defused.
type explosive struct {
	*page
	confirm, mapped bool
}

func (e *explosive) Confirm(ctx context.Context) error {
	if e.confirm {
		panic("confirm")
	}
	return e.page.Confirm(ctx)
}

func (e *explosive) Map() ([]byte, error) {
	if e.mapped {
		panic("map")
	}
	return e.page.Map()
}

// panics tells whether a call does.
func panics(call func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	call()
	return false
}

// TestAPanickingPageLeavesThePipeUsable: who recovers finds it unlocked and unclaimed, and the bytes where they were.
func TestAPanickingPageLeavesThePipeUsable(t *testing.T) {
	calls := map[string]func(p *Pipe){
		"Read":     func(p *Pipe) { p.Read(make([]byte, 5)) },
		"TryRead":  func(p *Pipe) { p.TryRead(make([]byte, 5)) },
		"Peek":     func(p *Pipe) { p.Peek(5) },
		"PeekInto": func(p *Pipe) { p.PeekInto(make([]byte, 5)) },
		"WriteTo":  func(p *Pipe) { p.WriteTo(io.Discard) },
		"Splice":   func(p *Pipe) { Splice(background, io.Discard, p, 5, 0) },
		"Readable": func(p *Pipe) { p.Readable() },
	}
	for name, call := range calls {
		for _, e := range []*explosive{{confirm: true}, {mapped: true}} {
			what := "Confirm"
			if e.mapped {
				what = "Map"
			}
			if e.mapped && name == "Readable" { // maps nothing
				continue
			}
			t.Run(what+" in "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 4)
					e.page = foreignPage([]byte("bytes"), true, nil)
					b, err := NewBuffer(e, 0, 5, 0)
					if err != nil {
						t.Fatal(err)
					}
					if err := p.Push(background, b, 0); err != nil {
						t.Fatal(err)
					}
					if !panics(func() { call(p) }) {
						t.Error("it did not panic")
					}
					e.confirm, e.mapped = false, false
					if _, err := p.Write([]byte(" and more")); err != nil {
						t.Error(err)
					}
					<-p.Readable()
					if got := mustRead(t, p, 14); got != "bytes and more" {
						t.Errorf("%q", got)
					}
				})
			})
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestAPanickingWriterLeavesTheBytesInThePipe: those that it has not taken by then.
func TestAPanickingWriterLeavesTheBytesInThePipe(t *testing.T) {
	for name, call := range map[string]func(p *Pipe, w io.Writer){
		"WriteTo":     func(p *Pipe, w io.Writer) { p.WriteTo(w) },
		"Splice":      func(p *Pipe, w io.Writer) { Splice(background, w, p, 9, 0) },
		"SpliceWrite": func(p *Pipe, w io.Writer) { SinkOf(w).SpliceWrite(p, 2, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := smallPipe(t, 4)
				lend(t, p, 2)
				taken := 0
				if !panics(func() {
					call(p, writerFunc(func(b []byte) (int, error) {
						if taken > 0 {
							panic("write")
						}
						taken += len(b)
						return len(b), nil
					}))
				}) {
					t.Error("it did not panic")
				}
				if p.Len() != 1 {
					t.Errorf("%d bytes are left", p.Len())
				}
				if got := mustRead(t, p, 1); got != "x" {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// TestAPanickingReaderKeepsNoSlot: the one that it was to fill is free again, and the end is not waited for.
func TestAPanickingReaderKeepsNoSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 1)
		if !panics(func() { Splice(background, p, readerFunc(func([]byte) (int, error) { panic("read") }), 9, 0) }) {
			t.Error("it did not panic")
		}
		if _, err := p.TryWrite([]byte("x")); err != nil {
			t.Error(err)
		}
		p.CloseWrite()
		if got, err := io.ReadAll(p); string(got) != "x" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// TestABufferLiesOnItsPage: what would not is refused at once, or where the page's length shows.
func TestABufferLiesOnItsPage(t *testing.T) {
	leakless(t)
	lent, err := LentBuffer([]byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lent.Release()
	pg, _ := lent.Page()
	for _, c := range []struct{ off, n int }{{3, 100}, {3, 3}, {5, 1}, {6, 1}, {0, 6}, {0, 0}, {-1, 2}, {math.MaxInt, 1}, {1, 1<<31 - 1}} {
		if _, err := NewBuffer(pg, c.off, c.n, 0); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%d bytes at %d of 5: %v", c.n, c.off, err)
		}
	}

	p := smallPipe(t, 4)
	d := newDevice(t, p, "short")
	close(d.ready)
	if err := p.Push(background, d.buffer(3, 100), 0); err != nil {
		t.Fatal(err)
	}
	p.SetDeadline(time.Now().Add(time.Minute))
	if n, err := p.Read(make([]byte, 9)); n != 0 || !errors.Is(err, ErrTruncated) {
		t.Errorf("%d, %v", n, err)
	}
	if err := p.Refill(); err != nil {
		t.Error(err)
	}
	p.Write([]byte("on"))
	if got := mustRead(t, p, 2); got != "on" {
		t.Errorf("%q", got)
	}
}

// TestAPagesOwnCancellationIsAFault, and not what a Confirm says that only looks: else who selects would spin.
func TestAPagesOwnCancellationIsAFault(t *testing.T) {
	for name, read := range map[string]func(p *Pipe) error{
		"TryRead": func(p *Pipe) error { _, err := p.TryRead(make([]byte, 1)); return err },
		"Read":    func(p *Pipe) error { _, err := p.Read(make([]byte, 1)); return err },
		"ReadContext": func(p *Pipe) error {
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			_, err := p.ReadContext(ctx, make([]byte, 1))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := smallPipe(t, 4)
				d := inFlight(t, p, 1)
				woken := waits(t, func() error { <-p.Readable(); return nil })
				d.land(0, context.Canceled)
				woken(nil)
				err := read(p)
				if errors.Is(err, ErrWouldBlock) || !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
				if side, ok := SideOf(err); !ok || side != SideSource {
					t.Errorf("%v blames the %v", err, side)
				}
				if err := p.Refill(); err != nil {
					t.Errorf("it is no fault: %v", err)
				}
			})
		})
	}
}

// TestSelectLoopsDoNotWakeEachOther: a look at bytes that are in flight changes nothing.
func TestSelectLoopsDoNotWakeEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 4)
		d := inFlight(t, p, 1)
		const most = 100
		for range 2 {
			go func() {
				for range most {
					<-p.Readable()
					if _, err := p.TryRead(make([]byte, MinPageSize)); !errors.Is(err, ErrWouldBlock) {
						return
					}
				}
				t.Errorf("a loop was woken %d times, by nothing", most)
			}()
		}
		synctest.Wait()
		for range 3 { // of anybody
			p.TryRead(make([]byte, 1))
			p.PeekInto(make([]byte, 1))
			p.Readable()
		}
		synctest.Wait()
		d.land(0, nil)
		p.Close() // and the other loop goes, too
	})
}

// TestAFaultTellsWhereItIsNow: a part of what cannot be had has been dropped.
func TestAFaultTellsWhereItIsNow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 4)
		p.Write([]byte("before"))
		p.Discard(6)
		inFlight(t, p, 1).land(0, syscall.EIO)
		var faults []*OpError
		for range 2 {
			_, err := p.Read(make([]byte, 1))
			var fault *OpError
			if !errors.Is(err, syscall.EIO) || !errors.As(err, &fault) {
				t.Fatalf("%v", err)
			}
			faults = append(faults, fault)
			p.Discard(40)
		}
		if faults[0].Offset != 6 || faults[1].Offset != 46 {
			t.Errorf("at %d and then at %d", faults[0].Offset, faults[1].Offset)
		}
	})
}
