package main

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/penstock-io/penstock/bench/internal/delays"
	"github.com/penstock-io/penstock/bench/internal/machine"
)

func TestSizesOfMessagesAreReadAndShown(t *testing.T) {
	for text, want := range map[string]struct {
		size  int
		shown string
	}{"bulk": {0, "bulk"}, "1400": {1400, "1400 bytes"}, "16k": {16 << 10, "16 KiB"}, "1024k": {1 << 20, "1024 KiB"}} {
		size, err := parseArrivals(text)
		if s := (runSpec{Message: size}); err != nil || size != want.size || s.arrivals() != want.shown {
			t.Errorf("%q: %d, %q, %v; want %+v", text, size, s.arrivals(), err, want)
		}
	}
	for _, text := range []string{"", "k", "7", "-1", "1m", "1025k"} {
		if _, err := parseArrivals(text); err == nil {
			t.Errorf("%q: not refused", text)
		}
	}
}

func TestThePaceDeliversWhatIsOffered(t *testing.T) {
	for _, c := range []struct {
		message, viewers int
		offer            float64
		want             time.Duration
	}{
		{0, 4, 150e6, 0},          // bulk has none
		{1400, 4, 0, 0},           // as fast as can be
		{100_000, 3, 150e6, 2e6},  // 1500 deliveries in a second, 500 messages
		{100_000, 1, -1, 666_667}, // bytes are the limit
		{1000, 5, -1, 200_000},    // deliveries are the limit
	} {
		got := every(c.message, c.viewers, c.offer)
		if (got - c.want).Abs() > time.Microsecond {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestARunIsAsLongAsItShouldBe(t *testing.T) {
	specs, err := plan(runSpec{Send: "write"}, "16k,bulk", "1,64", -1, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) != 4 {
		t.Fatalf("%d runs planned, want 4", len(specs))
	}
	for _, s := range specs {
		if s.Message == 0 {
			continue
		}
		lasts := time.Duration(s.Size/int64(s.Message)) * s.Every
		if s.Size%int64(s.Message) != 0 || lasts < 2*time.Second || lasts > 2*time.Second+s.Every {
			t.Errorf("%s: %d bytes, which last %v", s.title(), s.Size, lasts)
		}
	}
	for _, refused := range []struct{ arrivals, numbers, record string }{
		{"bulk", "0", ""}, {"bulk", "x", ""}, {"2m", "1", ""}, {"bulk", "1", "there"},
	} {
		s := runSpec{Record: refused.record}
		if _, err := plan(s, refused.arrivals, refused.numbers, -1, 2, 5e9); err == nil {
			t.Errorf("%+v: not refused", refused)
		}
	}
}

func TestTheFirstAndTheLastViewerAreAmongThoseThatAreTimed(t *testing.T) {
	for n, want := range map[int][]int{
		3:  {0, 1, 2},
		8:  {0, 1, 2, 3, 4, 5, 6, 7},
		64: {0, 9, 18, 27, 36, 45, 54, 63},
	} {
		s := runSpec{Viewers: n, Message: 1400, Every: time.Millisecond}
		var timed []int
		for i := range n {
			if s.timed(i) {
				timed = append(timed, i)
			}
		}
		if !slices.Equal(timed, want) {
			t.Errorf("of %d: %v, want %v", n, timed, want)
		}
	}
}

func TestEveryMessageButTheFirstIsTimedInWhateverPiecesItComes(t *testing.T) {
	const message, messages, late = 100, 5, time.Hour
	now := machine.Monotonic()
	var stream []byte
	for i := range messages {
		m := make([]byte, message)
		due := now - late
		if i == 0 {
			due = now - 2*late
		}
		binary.LittleEndian.PutUint64(m, uint64(due))
		stream = append(stream, m...)
	}
	for _, piece := range []int{1, 3, 7, 99, 100, 101, 250, 500} {
		near, far := net.Pipe()
		go func() {
			for b := range slices.Chunk(stream, piece) {
				if _, err := near.Write(b); err != nil {
					t.Error(err)
				}
			}
			near.Close()
		}()
		var got delays.Delays
		n, err := readStamps(far, message, &got)
		if n != messages*message || err != nil || got.Count != messages-1 {
			t.Errorf("pieces of %d: %d bytes, %d messages, %v", piece, n, got.Count, err)
		}
		if got.Max < late || got.Max > late+time.Minute {
			t.Errorf("pieces of %d: %v late", piece, got.Max)
		}
	}
}
