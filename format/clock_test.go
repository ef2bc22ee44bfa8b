package format_test

import (
	"testing"

	"github.com/penstock-io/penstock/format"
)

// withClock is a packet of PID 0x101 with nothing in it but a PCR.
func withClock(base int64, extension int) []byte {
	p := make([]byte, format.PacketSize)
	copy(p, []byte{
		0x47, 0x01, 0x01, 0x20, 183, 0x10,
		byte(base >> 25), byte(base >> 17), byte(base >> 9), byte(base >> 1),
		byte(base<<7) | 0x7e | byte(extension>>8), byte(extension),
	})
	return p
}

func TestAClockIsReadFromAPacket(t *testing.T) {
	for _, want := range []struct {
		base      int64
		extension int
	}{{0, 0}, {1, 1}, {90_000, 299}, {1<<33 - 1, 299}, {0x155555555, 256}} {
		ticks, pid, ok := format.Clock(withClock(want.base, want.extension))
		if !ok || pid != 0x101 || ticks != want.base*300+int64(want.extension) || ticks >= format.ClockWrap {
			t.Errorf("%v: %d ticks, PID %#x, %v", want, ticks, pid, ok)
		}
	}
}

func TestAPacketWithoutAClockHasNone(t *testing.T) {
	for name, spoil := range map[string]func(p []byte){
		"no sync byte":                  func(p []byte) { p[0] = 0 },
		"damaged in transport":          func(p []byte) { p[1] |= 0x80 },
		"no adaptation field":           func(p []byte) { p[3] = 0x10 },
		"an adaptation field too short": func(p []byte) { p[4] = 6 },
		"no PCR in it":                  func(p []byte) { p[5] = 0x40 },
	} {
		p := withClock(1, 2)
		spoil(p)
		if _, _, ok := format.Clock(p); ok {
			t.Error(name)
		}
	}
	if _, _, ok := format.Clock(withClock(1, 2)[:187]); ok {
		t.Error("too short")
	}
}
