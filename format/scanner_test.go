package format_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/penstock-io/penstock/format"
)

var (
	transportStream = format.Format{ContentType: "video/mp2t", Ext: "ts"}
	motionJPEG      = format.Format{ContentType: "multipart/x-mixed-replace; boundary=frame", Ext: "mjpeg"}
)

// run is what was said of a run of a stream, in offsets from the stream's beginning.
type run struct {
	off, end  int
	join, cut int // or -1
	header    []byte
}

// scan gives a new scanner a stream, as a hub does: always the bytes that were left over, and as many new ones as size
// returns. It checks what holds for every scanner.
func scan(t testing.TB, f format.Format, stream []byte, size func() int) []run {
	t.Helper()
	s := f.Scanner()
	var runs []run
	for off, to := 0, 0; to < len(stream); {
		to = min(len(stream), to+size())
		b := bytes.Clone(stream[off:to])
		join, cut, end := s.Scan(b)
		if end < 0 || end > len(b) || len(b)-end >= format.MaxTail {
			t.Fatalf("at %d: the end of a run of %d bytes is %d", off, len(b), end)
		}
		if join < -1 || join >= max(end, 1) || cut < -1 || cut >= max(end, 1) || join >= 0 && cut > join {
			t.Fatalf("at %d: join %d, cut %d, end %d", off, join, cut, end)
		}
		if !bytes.Equal(b, stream[off:to]) {
			t.Fatalf("at %d: the run was changed", off)
		}
		r := run{off: off, end: off + end, join: -1, cut: -1, header: s.Header()}
		if join >= 0 {
			r.join = off + join
		}
		if cut >= 0 {
			r.cut = off + cut
		}
		runs = append(runs, r)
		off += end
		clear(b) // the run is the scanner's during the call only
	}
	return runs
}

func byteByByte() int { return 1 }

// piecemeal gives at most one unit at a time, of streams for which a byte at a time takes long.
func piecemeal() int { return 61 }

func inOne() int { return 1 << 30 }

// joins are the join points that were named.
func joins(runs []run) (offs []int) {
	for _, r := range runs {
		if r.join >= 0 {
			offs = append(offs, r.join)
		}
	}
	return offs
}

func cuts(runs []run) (offs []int) {
	for _, r := range runs {
		if r.cut >= 0 {
			offs = append(offs, r.cut)
		}
	}
	return offs
}

// sameHoweverDivided checks what is said of any runs against what is said of the smallest: each run names the newest of
// the join points in it, the first of the cuts, and has the header of its newest join point.
func sameHoweverDivided(t testing.TB, f format.Format, stream []byte, inPieces []run, size func() int) {
	t.Helper()
	var joins, cuts []run
	for _, r := range inPieces {
		if r.join >= 0 {
			joins = append(joins, r)
		}
		if r.cut >= 0 {
			cuts = append(cuts, r)
		}
	}
	var header []byte
	for _, r := range scan(t, f, stream, size) {
		join, cut := -1, -1
		for len(joins) > 0 && joins[0].join < r.end {
			join, header = joins[0].join, joins[0].header
			joins = joins[1:]
		}
		for len(cuts) > 0 && cuts[0].cut < r.end {
			if cut < 0 {
				cut = cuts[0].cut
			}
			cuts = cuts[1:]
		}
		if r.join != join || r.cut != cut || !bytes.Equal(r.header, header) {
			t.Fatalf("run %d to %d: join %d, cut %d, %d bytes of header; in pieces it was join %d, cut %d, %d bytes",
				r.off, r.end, r.join, r.cut, len(r.header), join, cut, len(header))
		}
	}
}

// randomSizes divides a stream into runs of every order of magnitude.
func randomSizes(r *rand.Rand) func() int {
	return func() int { return 1 + r.IntN(1<<r.IntN(18)) }
}

func TestWhatIsSaidOfAStreamDoesNotDependOnItsDivision(t *testing.T) {
	for _, tc := range []struct {
		name   string
		format format.Format
		stream func(r *rand.Rand, units int) []byte
	}{
		{"transport stream", transportStream, anyTransport},
		{"motion JPEG", motionJPEG, anyMultipart},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 15 {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				r := rand.New(rand.NewPCG(seed, 0))
				stream := tc.stream(r, 200)
				want := scan(t, tc.format, stream, byteByByte)
				if len(joins(want)) == 0 {
					t.Fatal("a stream without join points says little")
				}
				for range 4 {
					sameHoweverDivided(t, tc.format, stream, want, randomSizes(r))
				}
			}
		})
	}
}

func TestFormatsWithoutJoinPointsHaveNoScanner(t *testing.T) {
	for _, contentType := range []string{
		"", "application/octet-stream", "video/webm", "no type at all;",
		"multipart/x-mixed-replace", `multipart/x-mixed-replace; boundary=""`, "multipart/mixed; boundary=frame",
		"multipart/x-mixed-replace; boundary*=utf-8''two%0Alines",
		"multipart/x-mixed-replace; boundary=" + string(bytes.Repeat([]byte("x"), 1000)),
	} {
		if s := (format.Format{ContentType: contentType}).Scanner(); s != nil {
			t.Errorf("%q has %T", contentType, s)
		}
	}
	for _, contentType := range []string{
		"video/mp2t", "Video/MP2T; codecs=avc1", `multipart/x-mixed-replace;boundary="a b"`,
	} {
		if s := (format.Format{ContentType: contentType}).Scanner(); s == nil {
			t.Errorf("%q has none", contentType)
		}
	}
}

func TestScanningDoesNotAllocate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		format format.Format
		stream []byte
	}{
		{"transport stream", transportStream, steadyTransport(4000)},
		{"motion JPEG", motionJPEG, steadyMultipart(20, true)},
		{"motion JPEG without lengths", motionJPEG, steadyMultipart(20, false)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.format.Scanner()
			s.Scan(tc.stream)
			join := -1
			got := testing.AllocsPerRun(10, func() { join, _, _ = s.Scan(tc.stream) })
			if got != 0 || join < 0 {
				t.Errorf("%v allocations, join %d", got, join)
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	for _, tc := range []struct {
		name   string
		format format.Format
		stream []byte
	}{
		{"transport stream", transportStream, steadyTransport(45000)},
		{"motion JPEG", motionJPEG, steadyMultipart(100, true)},
		{"motion JPEG without lengths", motionJPEG, steadyMultipart(100, false)},
	} {
		for _, size := range []int{1316, 64 << 10, 1 << 20} {
			b.Run(tc.name+"/"+map[int]string{1316: "1316", 64 << 10: "64KiB", 1 << 20: "1MiB"}[size], func(b *testing.B) {
				s := tc.format.Scanner()
				b.SetBytes(int64(len(tc.stream)))
				b.ReportAllocs()
				for b.Loop() {
					for off, to := 0, 0; to < len(tc.stream); {
						to = min(len(tc.stream), max(off, to)+size)
						_, _, end := s.Scan(tc.stream[off:to])
						off += end
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(float64(len(tc.stream))/1e6), "ns/MB")
			})
		}
	}
}
