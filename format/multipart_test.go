package format_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/format"
)

// marked is a stream with "^" where a join point is expected, and "|" where a viewer may but stop.
func marked(s string) (stream []byte, joins, cuts []int) {
	for _, c := range []byte(s) {
		switch c {
		case '^':
			joins = append(joins, len(stream))
			cuts = append(cuts, len(stream))
		case '|':
			cuts = append(cuts, len(stream))
		default:
			stream = append(stream, c)
		}
	}
	return stream, joins, cuts
}

func TestAViewerJoinsAtADelimiter(t *testing.T) {
	const jpeg = "Content-Type: image/jpeg\r\n"
	for _, tc := range []struct{ name, boundary, stream string }{
		{"as ffmpeg sends it", "frame", "^--frame\r\n" + jpeg + "Content-length: 4\r\n\r\nJPEG\r\n^--frame\r\n" + jpeg},
		{"line feeds alone", "frame", "^--frame\nX: y\n\nJPEG\n^--frame\n\nJPEG\n^--frame\n"},
		{"an empty line first", "frame", "\r\n^--frame\r\n\r\nJPEG\r\n^--frame\r\n"},
		{"a preamble", "frame", "not --frame\r\n^--frame\r\n"},
		{"padding", "frame", "^--frame \t \r\n\r\nJPEG\r\n^--frame\t\n"},
		{"too much padding", "frame", "--frame" + strings.Repeat(" ", 2000) + "\r\n^--frame\r\n"},
		{"longer lines", "frame", "--frames\r\n--frame:\r\n--frame\rx\r\n--frame-\r\n--frame--x\r\n^--frame\r\n"},
		{"closing", "frame", "^--frame\r\n\r\nJPEG\r\n|--frame--\r\nepilogue\r\n^--frame\r\n\r\nJPEG"},
		{"dashes declared and not counted", "--frame", "^--frame\r\n\r\nJPEG\r\n^--frame\r\n\r\n|--frame--\r\n"},
		{"dashes declared and counted", "--frame", "^----frame\r\n\r\nJPEG\r\n^----frame\r\n\r\n|----frame--\r\n"},
		{"dashes not declared", "frame", "----frame\r\n^--frame\r\n"},
		{"delimiter within a length", "frame", "^--frame\r\ncontent-length:\t13\r\n\r\n\r\n--frame\r\n\r\n\r\n^--frame\r\n"},
		{"no line end behind a length", "frame", "^--frame\r\nContent-Length: 4\r\n\r\nJPEG^--frame\r\n"},
		{"empty lines behind a length", "frame", "^--frame\r\nContent-Length: 4\r\n\r\nJPEG\r\n\r\n\n^--frame\r\n"},
		{
			"line feeds and lengths", "frame",
			"^--frame\nContent-Length: 4\n\nJPEG\n^--frame\nContent-Length: 10\n\n\n--frame\n\n\n^--frame\n",
		},
		{"length of nothing", "frame", "^--frame\r\nContent-Length: 0\r\n\r\n\r\n^--frame\r\n"},
		{
			"a length too short", "frame",
			"^--frame\r\nContent-Length: 2\r\n\r\nJPEG\r\n^--frame\r\nContent-Length: 12\r\n\r\n\r\n^--frame\r\n\r\n",
		},
		{
			"a length too long", "frame",
			"^--frame\r\nContent-Length: 17\r\n\r\nJPEG\r\n--frame\r\n\r\nJPEG\r\n" +
				"^--frame\r\nContent-Length: 12\r\n\r\n\r\n^--frame\r\n",
		},
		{"a length beyond belief", "frame", "^--frame\r\nContent-Length: 99999999999999999999\r\n\r\nJPEG\r\n^--frame\r\n"},
		{
			"no length", "frame",
			"^--frame\r\nContent-Length: -4\r\nContent-Length:\r\nX-Content-Length: 99\r\n\r\nJPEG\r\n^--frame\r\n",
		},
		{"lengths are of one part", "frame", "^--frame\r\nContent-Length: 50\r\n^--frame\r\n\r\nJPEG\r\n^--frame\r\n\r\n"},
		{
			"an endless header", "frame",
			"^--frame\r\nX: " + strings.Repeat("x", 5000) + "\r\nContent-Length: 99\r\n\r\n^--frame\r\n",
		},
		{"no headers, no empty line", "frame", "^--frame\r\n\xff\xd8\xff\xe0\n..\xff\xd9\r\n^--frame\r\n\xff\xd8\xff\xe0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := format.Format{ContentType: "multipart/x-mixed-replace; boundary=" + tc.boundary}
			stream, wantJoins, wantCuts := marked(tc.stream)
			runs := scan(t, f, stream, byteByByte)
			if got := joins(runs); !slices.Equal(got, wantJoins) {
				t.Errorf("join points are %v, want %v", got, wantJoins)
			}
			if got := cuts(runs); !slices.Equal(got, wantCuts) {
				t.Errorf("cuts are %v, want %v", got, wantCuts)
			}
			one := scan(t, f, stream, inOne)
			if one[0].join != wantJoins[len(wantJoins)-1] || one[0].cut != wantCuts[0] || one[0].header != nil {
				t.Errorf("in one run: %+v", one)
			}
		})
	}
}

func TestNothingButAPossibleDelimiterIsHeldBack(t *testing.T) {
	const head = "--frame\r\n\r\n"
	for _, tc := range []struct{ body, back string }{
		{"JPEG", ""},
		{"JPEG\r\n", ""},
		{"JPEG\r\n-", "-"},
		{"JPEG\r\n--fra", "--fra"},
		{"JPEG\r\n--frame\r", "--frame\r"},
		{"JPEG\r\n--frame--", "--frame--"},
		{"JPEG --frame", ""},
		{"JPEG\r\n--from", ""},
		{"JPEG\r\n--frame\r\n", ""},
		{"JPEG\r\n--frame\r\nContent-Ty", "Content-Ty"},
	} {
		stream := head + tc.body
		_, _, end := motionJPEG.Scanner().Scan([]byte(stream))
		if got := stream[end:]; got != tc.back {
			t.Errorf("of %q, %q is held back, want %q", tc.body, got, tc.back)
		}
	}
}

func steadyMultipart(parts int, lengths bool) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for range parts {
		body := make([]byte, 80_000)
		for i := range body {
			body[i] = byte(r.Uint32())
		}
		b.WriteString("--frame\r\nContent-Type: image/jpeg\r\n")
		if lengths {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
		}
		fmt.Fprintf(&b, "\r\n%s\r\n", body)
	}
	return b.Bytes()
}

// anyMultipart is a stream of pieces that matter, in an order that may not.
func anyMultipart(r *rand.Rand, units int) []byte {
	pieces := []string{
		"--frame\r\n", "--frame\n", "--frame", "--frame--\r\n", "--frame \t", "--", "-", "\r\n", "\r\n", "\n", "\r",
		"Content-Length: 20\r\n", "Content-Length: 3\r\n", "Content-Type: image/jpeg\r\n", "\r\n\r\n", "JPEG",
		strings.Repeat("x", 1500),
	}
	b := []byte("--frame\r\n")
	for range units {
		b = append(b, pieces[r.IntN(len(pieces))]...)
	}
	return b
}
