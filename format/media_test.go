package format_test

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/format"
)

// needs skips a test on a machine without these programs.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s: %v", p, err)
		}
	}
}

// output runs a program that is to succeed without a word on standard error.
func output(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return stdout.Bytes()
}

// made is what ffmpeg makes of 4 s of a test picture and a tone.
func made(t *testing.T, args ...string) []byte {
	t.Helper()
	const picture, tone = "testsrc2=size=320x180:rate=25:duration=4", "sine=duration=4"
	in := []string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone}
	return output(t, nil, "ffmpeg", slices.Concat(in, args, []string{"-"})...)
}

// frames are the decoded frames of the first stream of a kind, decoding which must not meet an error: their time
// stamps, sizes and, as sound is never quite the same twice, of video the hashes.
func frames(t *testing.T, stream []byte, demuxer, kind string) (lines []string) {
	t.Helper()
	args := "-v error -xerror -err_detect explode -copyts -f " + demuxer +
		" -i - -fps_mode passthrough -map 0:" + kind + ":0 -f framemd5 -"
	for line := range strings.Lines(string(output(t, stream, "ffmpeg", strings.Fields(args)...))) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if kind == "a" {
			line = line[:strings.LastIndexByte(line, ',')]
		}
		lines = append(lines, line)
	}
	return lines
}

// keys counts the packets of the first stream of a kind that can be decoded without others, as ffprobe sees it.
func keys(t *testing.T, stream []byte, kind string) (n int) {
	t.Helper()
	args := "-v error -f mpegts -select_streams " + kind + ":0 -show_entries packet=flags -of csv=p=0 -"
	for line := range strings.Lines(string(output(t, stream, "ffprobe", strings.Fields(args)...))) {
		if strings.HasPrefix(line, "K") {
			n++
		}
	}
	return n
}

// TestRealTransportStreamsAreJoined has ffmpeg and ffprobe say what join points there are, and that from each of them a
// decoder gets every frame to the end as it was, and nothing else.
func TestRealTransportStreamsAreJoined(t *testing.T) {
	needs(t, "ffmpeg", "ffprobe")
	h264 := "-c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -c:a aac"
	h265 := "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:min-keyint=25:open-gop=0 -c:a aac"
	many := " -c:a mp2 -map 0:v" + strings.Repeat(" -map 1:a", 16) + " -metadata:s language=eng"
	two := " -map 0:v -map 1:a -map 1:a -program program_num=1:st=0:st=1 -program program_num=2:st=2"
	for _, tc := range []struct {
		name, args string
		kind       string // that is joined at
		unmarked   bool   // takes the marks away
		header     int    // packets in it
	}{
		{"H.264", h264, "v", false, 2},
		{"H.264 with B frames", strings.Replace(h264, "ultrafast", "medium -bf 2", 1), "v", false, 2},
		{"H.264 unmarked", h264, "v", true, 2},
		{"H.265", h265, "v", false, 2},
		{"H.265 unmarked", h265, "v", true, 2},
		{"MPEG-2", "-c:v mpeg2video -b:v 2M -g 25 -c:a mp2", "v", false, 2},
		{"MPEG-2 unmarked", "-c:v mpeg2video -b:v 2M -g 25 -c:a mp2", "v", true, 2},
		{"tables seldom", h264 + " -pat_period 3", "v", false, 2},
		{"at a constant rate", h264 + " -b:v 1M -muxrate 4M", "v", false, 2},
		{"a table in two packets", h264 + many, "v", false, 3},
		{"two programs", h264 + two, "v", false, 3},
		{"audio alone", "-vn -c:a mp2", "a", false, 2},
		{"audio alone, unmarked", "-vn -c:a mp2", "a", true, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, encoder := range []string{"libx264", "libx265"} {
				if strings.Contains(tc.args, encoder) && !strings.Contains(encoders(t), encoder) {
					t.Skipf("this ffmpeg has no %s", encoder)
				}
			}
			stream := made(t, strings.Fields(tc.args+" -f mpegts")...)
			if f := format.Detect(stream[:format.HeadSize], ""); f != transportStream {
				t.Fatalf("it is taken for %+v", f)
			}
			if tc.unmarked {
				for p := stream; len(p) >= 188; p = p[188:] {
					if p[3]&0x20 != 0 && p[4] > 0 {
						p[5] &^= 0x40
					}
				}
			}
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			runs := scan(t, transportStream, stream, piecemeal)
			sameHoweverDivided(t, transportStream, stream, runs, randomSizes(rand.New(rand.NewPCG(seed, 0))))

			at := joins(runs)
			if tc.kind == "v" {
				want := keys(t, stream, tc.kind)
				if len(at) != want || want < 4 {
					t.Fatalf("%d join points, ffprobe sees %d", len(at), want)
				}
			}
			if len(at) < 4 {
				t.Fatalf("%d join points", len(at))
			}
			whole := frames(t, stream, "mpegts", tc.kind)
			for _, i := range []int{len(at) / 2, len(at) - 1} {
				header := scan(t, transportStream, stream[:at[i]+188], inOne)[0].header
				if len(header) != tc.header*188 {
					t.Errorf("the header has %d packets, want %d", len(header)/188, tc.header)
				}
				got := frames(t, append(bytes.Clone(header), stream[at[i]:]...), "mpegts", tc.kind)
				want := whole[len(whole)-min(len(got), len(whole)):]
				if tc.kind == "v" {
					want = whole[25*i:]
				}
				if len(want) == 0 || !slices.Equal(got, want) {
					t.Errorf("from join point %d on there are %d frames, which are not the last of %d", i, len(got), len(whole))
				}
			}
		})
	}
}

func encoders(t *testing.T) string {
	t.Helper()
	return string(output(t, nil, "ffmpeg", "-v", "error", "-encoders"))
}

// TestRealMotionJPEGIsJoined has as many join points as frames, and the one behind the last.
func TestRealMotionJPEGIsJoined(t *testing.T) {
	needs(t, "ffmpeg")
	stream := made(t, strings.Fields("-an -c:v mjpeg -f mpjpeg")...)
	f := format.Detect(stream[:format.HeadSize], "")
	if f.Ext != "mjpeg" {
		t.Fatalf("it is taken for %+v", f)
	}
	runs := scan(t, f, stream, piecemeal)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	sameHoweverDivided(t, f, stream, runs, randomSizes(rand.New(rand.NewPCG(seed, 0))))
	at := joins(runs)
	if len(at) != 101 {
		t.Fatalf("%d join points", len(at))
	}
	// A decoder takes the last delimiter, which no part follows, for an error.
	got := frames(t, stream[at[60]:at[100]], "mpjpeg", "v")
	want := frames(t, stream[:at[100]], "mpjpeg", "v")
	for _, lines := range [][]string{got, want} {
		for i, line := range lines {
			lines[i] = line[strings.LastIndexByte(line, ','):] // time stamps are the decoder's
		}
	}
	if len(want) != 100 || !slices.Equal(got, want[60:]) {
		t.Errorf("from join point 60 on there are %d frames, which are not the last of %d", len(got), len(want))
	}
}
