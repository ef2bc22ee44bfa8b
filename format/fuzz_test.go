package format_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// FuzzTransportStream divides any bytes in some way. What is said of them is in range, and the same as byte by byte; a
// join point and a cut are at a packet, and a header is packets.
func FuzzTransportStream(f *testing.F) {
	f.Add(steadyTransport(10)[:10*188], uint64(1))
	for seed := range uint64(4) {
		f.Add(anyTransport(rand.New(rand.NewPCG(seed, 0)), 5), seed)
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > 1<<14 {
			return
		}
		runs := scan(t, transportStream, stream, byteByByte)
		var header []byte
		for _, r := range runs {
			if r.join >= 0 && (stream[r.join] != 0x47 || stream[r.join+1]&0x40 == 0 || len(r.header) < 2*188) {
				t.Fatalf("join point %d is at %x, with a header of %d bytes", r.join, stream[r.join:r.join+4], len(r.header))
			}
			if r.cut >= 0 && stream[r.cut] != 0x47 {
				t.Fatalf("cut %d is at %x", r.cut, stream[r.cut])
			}
			if bytes.Equal(r.header, header) {
				continue
			}
			header = r.header
			for h := header; len(h) > 0; h = h[188:] {
				if h[0] != 0x47 || !bytes.Contains(stream, h[:188]) {
					t.Fatalf("a header has the packet %x", h[:188])
				}
			}
		}
		sameHoweverDivided(t, transportStream, stream, runs, randomSizes(rand.New(rand.NewPCG(seed, 0))))
	})
}

// FuzzMultipart does the same for parts: a join point is at a delimiter line, and a cut at one or at the closing one.
func FuzzMultipart(f *testing.F) {
	f.Add([]byte("--frame\r\nContent-Length: 4\r\n\r\nJPEG\r\n--frame\r\n\r\nJPEG\n--frame--\r\n"), uint64(1))
	for seed := range uint64(4) {
		f.Add(anyMultipart(rand.New(rand.NewPCG(seed, 0)), 30), seed)
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > 1<<14 {
			return
		}
		runs := scan(t, motionJPEG, stream, byteByByte)
		for _, r := range runs {
			for _, off := range []int{r.join, r.cut} {
				if off < 0 {
					continue
				}
				line, _, whole := bytes.Cut(stream[off:], []byte("\n"))
				rest, ok := bytes.CutPrefix(line, []byte("--frame"))
				if off == r.cut {
					rest = bytes.TrimPrefix(rest, []byte("--"))
				}
				if !ok || !whole || len(bytes.Trim(rest, " \t\r")) > 0 {
					t.Fatalf("%+v: at %d is %q", r, off, line)
				}
			}
			if r.header != nil {
				t.Fatalf("there is a header: %q", r.header)
			}
		}
		sameHoweverDivided(t, motionJPEG, stream, runs, randomSizes(rand.New(rand.NewPCG(seed, 0))))
	})
}
