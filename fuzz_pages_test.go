package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/penstock-io/penstock"
)

// FuzzPages runs a program that duplicates, splits, steals, stabilises, moves and releases buffers of pages of every
// kind, and counts their references beside it. Memory comes back exactly when nobody has it any more.
//
// It runs in a bubble, so that reads in flight land when the program says so and not sooner.
func FuzzPages(f *testing.F) {
	f.Add([]byte{0, 0, 9, 1, 0, 9, 2, 0, 9, 3, 0, 9, 4, 0, 9, 5, 0, 2, 6, 1, 0, 12, 0, 0, 8, 0, 0, 7, 2, 0})
	f.Add([]byte{3, 1, 200, 3, 0, 100, 5, 0, 40, 8, 0, 0, 12, 0, 0, 7, 0, 0, 9, 0, 0, 10, 0, 200, 13, 0, 90, 14, 0, 9})
	f.Add([]byte{4, 0, 200, 5, 0, 3, 9, 0, 0, 9, 0, 0, 8, 0, 0, 10, 0, 3, 11, 0, 0, 8, 0, 0, 7, 0, 0, 7, 0, 0})
	f.Add([]byte{2, 0, 50, 7, 0, 0, 1, 0, 50, 7, 0, 0, 8, 0, 0, 9, 0, 0, 9, 1, 0, 13, 0, 255, 15, 0, 0, 6, 0, 0})
	name := filepath.Join(f.TempDir(), "window")
	if err := os.WriteFile(name, pattern(4*os.Getpagesize()), 0o600); err != nil {
		f.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 4<<10 {
			return
		}
		before := penstock.PagesInUse()
		synctest.Test(t, func(t *testing.T) {
			s := newSheets(t, file)
			for rest := program; len(rest) >= 3; rest = rest[3:] {
				s.step(rest[0], int(rest[1]), int(rest[2]))
				s.check()
			}
			s.finish()
		})
		if after := penstock.PagesInUse(); after != before {
			t.Fatalf("pages in use: %d before, %d after", before, after)
		}
	})
}

// done is a context that is: nothing is waited for.
var done = func() context.Context {
	ctx, cancel := context.WithCancel(background)
	cancel()
	return ctx
}()

// sheet is what is known of a page.
type sheet struct {
	kind     string // "plain", "gift", "lent", "flight" or "window"
	refs     int    // buffers on it
	released int    // calls of the owner's callback
	flying   bool   // its bytes are not there yet
}

// leaf is a buffer, and the bytes that are on it.
type leaf struct {
	buf  penstock.Buffer
	on   *sheet
	want []byte
}

type sheets struct {
	t      *testing.T
	arena  penstock.Arena
	pipes  [2]*penstock.Pipe
	queues [2][]leaf // what the pipes hold
	hand   []leaf    // what they do not
	all    []*sheet
	file   *os.File

	tower  *penstock.Pipe // where reads take off
	gate   chan struct{}  // a read lands for each token
	flight []*sheet       // in the order of their take-off
	stamp  byte
}

func newSheets(t *testing.T, file *os.File) *sheets {
	s := &sheets{t: t, file: file, gate: make(chan struct{})}
	open := func() *penstock.Pipe {
		p, err := penstock.OpenPipe(penstock.PipeConfig{Slots: 4, PageSize: fuzzPage, Arena: &s.arena})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s.pipes[0], s.pipes[1], s.tower = open(), open(), open()
	return s
}

// gated is a file on a slow disk.
type gated struct {
	*bytes.Reader
	gate <-chan struct{}
}

func (g gated) ReadAt(b []byte, off int64) (int, error) {
	<-g.gate
	return g.Reader.ReadAt(b, off)
}

func (s *sheets) fresh(n int) []byte {
	s.stamp++
	return bytes.Repeat([]byte{s.stamp}, n)
}

func (s *sheets) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// take takes up a new page's first buffer.
func (s *sheets) take(kind string, b penstock.Buffer, err error, want []byte) *sheet {
	s.t.Helper()
	s.must(err)
	on := &sheet{kind: kind, refs: 1}
	s.all = append(s.all, on)
	s.hand = append(s.hand, leaf{b, on, want})
	return on
}

func (s *sheets) step(op byte, i, n int) {
	if op %= 16; op < 5 {
		if len(s.hand) < 64 {
			s.make(op, n*17+1)
		}
		return
	}
	which := i % 2
	p, queue := s.pipes[which], s.queues[which]
	switch op { // what needs no buffer in hand
	case 9:
		s.pull(which, n*17+1)
		return
	case 12:
		s.land()
		return
	case 13:
		s.read(which, n*17+1)
		return
	case 14:
		m, err := p.Discard(n * 17)
		s.must(err)
		s.consume(which, m)
		return
	}
	if len(s.hand) == 0 {
		return
	}
	i %= len(s.hand)
	l := &s.hand[i]
	switch op {
	case 5:
		off := n % len(l.want)
		m := len(l.want) - off - n%7%(len(l.want)-off)
		dup := l.buf.Dup(off, m)
		if dup.Flags()&(penstock.BufMerge|penstock.BufGift) != 0 {
			s.t.Fatalf("a duplicate with flags %b", dup.Flags())
		}
		l.on.refs++
		s.hand = append(s.hand, leaf{dup, l.on, l.want[off : off+m]})
	case 6, 7:
		s.release(*l)
		s.hand = slices.Delete(s.hand, i, i+1)
	case 8:
		s.steal(l)
	case 10:
		if err := p.Push(background, l.buf, penstock.NonBlock); err != nil {
			if !errors.Is(err, penstock.ErrWouldBlock) || p.FreeSlots() > 0 {
				s.t.Fatal(err)
			}
			return
		}
		s.queues[which] = append(queue, *l)
		s.hand = slices.Delete(s.hand, i, i+1)
	case 11:
		s.must(p.Unread(l.buf))
		s.queues[which] = append([]leaf{*l}, queue...)
		s.hand = slices.Delete(s.hand, i, i+1)
	case 15:
		s.stabilise(l)
	}
}

// make makes a page of the kind, with one buffer of n bytes.
func (s *sheets) make(kind byte, n int) {
	want := s.fresh(min(n, fuzzPage))
	switch kind {
	case 0:
		_, err := s.tower.TryWrite(want)
		s.must(err)
		b, err := s.tower.Pull(background, len(want), penstock.NonBlock)
		s.take("plain", b, err, want)
	case 1:
		on := new(*sheet)
		b, err := penstock.LentBuffer(bytes.Clone(want), func() { (*on).released++ })
		*on = s.take("lent", b, err, want)
	case 2:
		b, err := penstock.GiftBuffer(bytes.Clone(want))
		s.take("gift", b, err, want)
	case 3:
		if len(s.flight) > 4 {
			return
		}
		src, err := penstock.ReadAhead(gated{bytes.NewReader(want), s.gate}, 0, -1)
		s.must(err)
		_, err = src.SpliceRead(s.tower, len(want), penstock.NonBlock)
		s.must(err)
		b, err := s.tower.Pull(background, len(want), penstock.NonBlock)
		on := s.take("flight", b, err, want)
		on.flying = true
		s.flight = append(s.flight, on)
		synctest.Wait() // it stands in line at the gate
	case 4:
		on, whole, off := new(*sheet), pattern(4*os.Getpagesize()), os.Getpagesize()*(n%3)
		pg, err := penstock.MapWindow(s.file, int64(off), len(want)+100, func() { (*on).released++ })
		s.must(err)
		b, err := penstock.NewBuffer(pg, 100, len(want), 0)
		*on = s.take("window", b, err, whole[off+100:off+100+len(want)])
	}
}

// land lets the oldest read come down, and whoever looked after it finish.
func (s *sheets) land() {
	if len(s.flight) > 0 {
		s.gate <- struct{}{}
		synctest.Wait()
		s.flight[0].flying = false
		s.flight = s.flight[1:]
	}
}

// steal must succeed exactly when nobody else has the page, and the page is nobody else's.
func (s *sheets) steal(l *leaf) {
	b, ok := l.buf.Steal()
	want := l.on.refs == 1 && !l.on.flying && l.on.kind != "lent" && l.on.kind != "window"
	if ok != want {
		s.t.Fatalf("stole a %s page with %d references: %v", l.on.kind, l.on.refs, ok)
	}
	if !ok {
		return
	}
	if !bytes.Equal(b, l.want) {
		s.t.Fatal("other bytes were stolen than were there")
	}
	l.want = s.fresh(len(b))
	copy(b, l.want)
	l.buf.Unmap()
}

func (s *sheets) stabilise(l *leaf) {
	if l.on.flying {
		if _, err := l.buf.Stabilise(done); err == nil {
			s.t.Fatal("what has not arrived is stable")
		}
		return
	}
	b, err := l.buf.Stabilise(background)
	s.must(err)
	if b.Stability() != penstock.Stable {
		s.t.Fatalf("stabilised to %v", b.Stability())
	}
	l.buf = b
	if l.on.kind != "lent" && l.on.kind != "window" {
		return
	}
	l.on.refs--
	l.on = &sheet{kind: "plain", refs: 1}
	s.all = append(s.all, l.on)
}

func (s *sheets) release(l leaf) {
	l.on.refs--
	l.buf.Release()
}

func (s *sheets) pull(which, n int) {
	queue := s.queues[which]
	b, err := s.pipes[which].Pull(background, n, penstock.NonBlock)
	if len(queue) == 0 {
		if !errors.Is(err, penstock.ErrWouldBlock) {
			s.t.Fatalf("pulled out of an empty pipe: %v", err)
		}
		return
	}
	s.must(err)
	first := &queue[0]
	if b.Len() != min(n, len(first.want)) {
		s.t.Fatalf("pulled %d of %d, of a buffer of %d", b.Len(), n, len(first.want))
	}
	got := leaf{b, first.on, first.want[:b.Len()]}
	if b.Len() == len(first.want) {
		s.queues[which] = queue[1:]
	} else {
		first.on.refs++
		first.want = first.want[b.Len():]
	}
	s.hand = append(s.hand, got)
}

// consume accounts for what a pipe has dropped.
func (s *sheets) consume(which, n int) {
	queue := s.queues[which]
	for n > 0 {
		first := &queue[0]
		m := min(n, len(first.want))
		if first.want = first.want[m:]; len(first.want) == 0 {
			first.on.refs--
			queue = queue[1:]
		}
		n -= m
	}
	s.queues[which] = queue
}

// arrived is the bytes at the head of a pipe that are there.
func (s *sheets) arrived(which int) (b []byte) {
	for _, l := range s.queues[which] {
		if l.on.flying {
			break
		}
		b = append(b, l.want...)
	}
	return b
}

func (s *sheets) read(which, n int) {
	want := s.arrived(which)
	b := make([]byte, n)
	m, err := s.pipes[which].TryRead(b)
	switch {
	case len(want) == 0 && errors.Is(err, penstock.ErrWouldBlock):
	case err == nil && m > 0 && bytes.HasPrefix(want, b[:m]):
		s.consume(which, m)
	default:
		s.t.Fatalf("read %d of %d, with %d there: %v", m, n, len(want), err)
	}
}

// check looks at everything that has arrived.
func (s *sheets) check() {
	s.t.Helper()
	for i, p := range s.pipes {
		held := 0
		for _, l := range s.queues[i] {
			held += len(l.want)
		}
		if p.Len() != held {
			s.t.Fatalf("pipe %d holds %d bytes, want %d", i, p.Len(), held)
		}
		want, got := s.arrived(i), make([]byte, held)
		if n, err := p.PeekInto(got); n != len(want) || err != nil || !bytes.Equal(got[:n], want) {
			s.t.Fatalf("pipe %d shows %d bytes, %v; want %d of %d", i, n, err, len(want), held)
		}
	}
	for _, l := range s.hand {
		if l.on.flying {
			continue
		}
		s.must(l.buf.Confirm(background))
		got, err := l.buf.Map()
		s.must(err)
		if !bytes.Equal(got, l.want) {
			s.t.Fatalf("the bytes of a buffer on a %s page have changed", l.on.kind)
		}
		l.buf.Unmap()
	}
	for _, on := range s.all {
		owned := on.kind == "lent" || on.kind == "window"
		if gone := owned && on.refs == 0; gone && on.released != 1 || !gone && on.released != 0 {
			s.t.Fatalf("a %s page with %d references was released %d times", on.kind, on.refs, on.released)
		}
	}
}

func (s *sheets) finish() {
	for len(s.flight) > 0 {
		s.land()
	}
	s.check()
	for _, l := range s.hand {
		s.release(l)
	}
	s.hand = nil
	for i, p := range s.pipes {
		s.must(p.CloseWrite())
		got, err := io.ReadAll(p)
		if s.must(err); !bytes.Equal(got, s.arrived(i)) {
			s.t.Fatalf("pipe %d gave %d bytes", i, len(got))
		}
		s.consume(i, len(got))
		p.Close()
	}
	s.check()
	s.tower.Close()
	s.arena.Close()
}
