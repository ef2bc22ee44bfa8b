package testcard

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"
	"time"
)

var teatime = time.Date(2025, 11, 21, 16, 7, 38, 246e6, time.UTC)

// sizes are pictures of every kind: the designed one, its halves and doubles, other shapes, sides that are no multiple
// of JPEG's blocks, and the least.
var sizes = []image.Point{
	{640, 360},
	{320, 180},
	{1280, 720},
	{400, 400},
	{360, 640},
	{1000, 360},
	{101, 57},
	{MinSide, MinSide},
	{MinSide, 900},
}

func TestAFrameDecodesAtItsSize(t *testing.T) {
	for _, size := range sizes {
		t.Run(size.String(), func(t *testing.T) {
			card := New(size.X, size.Y)
			for _, n := range []uint64{0, 1, 123_456_789, math.MaxUint64} {
				picture := decode(t, card.Frame(nil, n, teatime))
				if got := picture.Bounds().Size(); got != size {
					t.Errorf("frame %d is %v, want %v", n, got, size)
				}
			}
		})
	}
}

func TestAFrameOwesNothingToTheFramesBeforeIt(t *testing.T) {
	for _, size := range sizes {
		t.Run(size.String(), func(t *testing.T) {
			want := New(size.X, size.Y).Frame(nil, 77, teatime)

			card := New(size.X, size.Y)
			for n := range uint64(5) {
				card.Frame(nil, n, teatime.Add(time.Duration(n)*7*time.Second))
			}
			if got := card.Frame(nil, 77, teatime); !bytes.Equal(got, want) {
				t.Error("a card that has drawn other frames draws this one otherwise than a new card does")
			}
		})
	}
}

func TestFramesDiffer(t *testing.T) {
	later := teatime.Add(time.Millisecond)
	for _, tt := range []struct {
		what string
		n    uint64
		t    time.Time
	}{
		{"the number is the next", 13, teatime},
		{"all but the counter is where it was", 12 + framesPerBucket*framesPerWave, teatime},
		{"a millisecond has passed", 12, later},
		{"both", 13, later},
	} {
		t.Run(tt.what, func(t *testing.T) {
			card := New(sheetWidth, sheetHeight)
			before := card.Frame(nil, 12, teatime)
			if after := card.Frame(nil, tt.n, tt.t); bytes.Equal(before, after) {
				t.Error("the frames are the same")
			}
		})
	}
}

func TestTheTimeIsShownInUTC(t *testing.T) {
	card := New(sheetWidth, sheetHeight)
	want := card.Frame(nil, 1, teatime)
	elsewhere := teatime.In(time.FixedZone("elsewhere", 5*60*60+45*60+17))
	if got := card.Frame(nil, 1, elsewhere); !bytes.Equal(got, want) {
		t.Error("the same instant looks different in another zone")
	}
}

func TestFrameAppends(t *testing.T) {
	card := New(sheetWidth, sheetHeight)
	want := card.Frame(nil, 1, teatime)

	memory := make([]byte, 0, 4096+len(want))
	got := card.Frame(append(memory, "before"...), 1, teatime)
	if !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Error("the frame is not what was there, followed by the frame")
	}
	if &got[0] != &memory[:1][0] {
		t.Error("the frame is not in the memory given, though there was room")
	}
}

// The middle of each bar and grey keeps its colour through the encoder, wherever the layout has put it.
func TestTheBarsHaveTheirColours(t *testing.T) {
	for _, size := range []image.Point{{640, 360}, {1280, 720}, {400, 400}, {320, 180}} {
		t.Run(size.String(), func(t *testing.T) {
			card := New(size.X, size.Y)
			picture := decode(t, card.Frame(nil, 1, teatime))
			for i, bar := range bars[1:7] { // the first and the last are cut by the circle
				x := bandsLeft + (bandsRight-bandsLeft)*(float64(i+1)+0.5)/float64(len(bars))
				px, py := card.canvas.pixel(x, (barsTop+reverseTop)/2)
				got, want := color.RGBAModel.Convert(picture.At(int(px), int(py))), bar.C
				if !near(got, want) {
					t.Errorf("bar %d is %v, want about %v", i+1, got, want)
				}
			}
		})
	}
}

func TestTheCounterCounts(t *testing.T) {
	card := New(sheetWidth, sheetHeight)
	for n, want := range map[uint64]string{
		0:              "000 000 000",
		7:              "000 000 007",
		1_234:          "000 001 234",
		999_999_999:    "999 999 999",
		45_000_000_001: "000 000 001",
	} {
		card.readouts.drawCounter(card.canvas, n)
		if got := string(card.readouts.text); got != want {
			t.Errorf("frame %d is counted %q, want %q", n, got, want)
		}
	}
}

func TestDrawingDoesNotAllocate(t *testing.T) {
	card := New(sheetWidth, sheetHeight)
	n := uint64(0)
	draw := func() {
		n++
		card.draw(n, teatime.Add(time.Duration(n)*40*time.Millisecond))
	}
	for range framesPerBucket {
		draw() // the list of what was touched grows to what it needs
	}
	if got := testing.AllocsPerRun(100, draw); got > 0 {
		t.Errorf("drawing a frame allocates %v times", got)
	}
}

func TestNewRefusesASideOutOfBounds(t *testing.T) {
	for _, size := range []image.Point{{0, 0}, {-640, 360}, {640, MinSide - 1}, {MaxSide + 1, 360}} {
		t.Run(size.String(), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("New did not panic")
				}
			}()
			New(size.X, size.Y)
		})
	}
}

// BenchmarkNew tells the time of a new card.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(sheetWidth, sheetHeight)
	}
}

// BenchmarkFrame tells the time of a frame, encoder and all, and the size of the last one.
func BenchmarkFrame(b *testing.B) {
	for _, size := range []image.Point{{320, 180}, {640, 360}, {1280, 720}} {
		b.Run(fmt.Sprintf("%dx%d", size.X, size.Y), func(b *testing.B) {
			card := New(size.X, size.Y)
			var frame []byte
			n := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				n++
				frame = card.Frame(frame[:0], n, teatime.Add(time.Duration(n)*40*time.Millisecond))
			}
			b.ReportMetric(float64(len(frame)), "B/frame")
		})
	}
}

// BenchmarkDraw tells the time of a frame without the encoder.
func BenchmarkDraw(b *testing.B) {
	card := New(sheetWidth, sheetHeight)
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		card.draw(n, teatime.Add(time.Duration(n)*40*time.Millisecond))
	}
}

func decode(t *testing.T, frame []byte) image.Image {
	t.Helper()
	in := bytes.NewReader(frame)
	picture, err := jpeg.Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	if in.Len() > 0 {
		t.Fatalf("%d bytes follow the JPEG", in.Len())
	}
	return picture
}

// near tells whether no channel of two colours is farther apart than quantization explains.
func near(a, b color.Color) bool {
	const most = 16
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	for _, d := range []int{int(ar>>8) - int(br>>8), int(ag>>8) - int(bg>>8), int(ab>>8) - int(bb>>8)} {
		if d < -most || d > most {
			return false
		}
	}
	return true
}
