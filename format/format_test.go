package format_test

import (
	"bytes"
	"testing"

	"github.com/penstock-io/penstock/format"
)

func packets(n int) []byte {
	b := bytes.Repeat([]byte{0}, n*188)
	for i := range n {
		b[i*188] = 0x47
	}
	return b
}

func TestDetect(t *testing.T) {
	for _, tc := range []struct {
		name, head, declared string
		want                 format.Format
	}{
		{"transport stream", string(packets(3)), "", format.Format{ContentType: "video/mp2t", Ext: "ts"}},
		{"transport stream, one packet and a half", string(packets(2)[:200]), "", format.Format{ContentType: "video/mp2t", Ext: "ts"}},
		{"sync byte by chance", "G and then text that is longer than one packet" + string(make([]byte, 188)), "", format.Raw},
		{"motion JPEG", "--ffmpeg\r\nContent-type: image/jpeg\r\n", "", format.Format{ContentType: "multipart/x-mixed-replace; boundary=ffmpeg", Ext: "mjpeg"}},
		{"a text with dashes", "--option\nis what it takes", "", format.Format{ContentType: "text/plain; charset=utf-8", Ext: "txt"}},
		{"WebM", "\x1a\x45\xdf\xa3", "", format.Format{ContentType: "video/webm", Ext: "webm"}},
		{"Flash video", "FLV\x01\x05", "", format.Format{ContentType: "video/x-flv", Ext: "flv"}},
		{"nothing to go by", "\x00\x01\x02", "", format.Raw},
		{"no bytes", "", "", format.Raw},
		{"declared", "\x00\x01", "video/mp4", format.Format{ContentType: "video/mp4", Ext: "mp4"}},
		{"declared, unknown here", "\x00", "video/x-new", format.Format{ContentType: "video/x-new", Ext: "bin"}},
		{"declared as nothing in particular", string(packets(3)), "application/octet-stream", format.Format{ContentType: "video/mp2t", Ext: "ts"}},
		{"declared by curl --data-binary", string(packets(3)), "application/x-www-form-urlencoded", format.Format{ContentType: "video/mp2t", Ext: "ts"}},
		{"declared with a second header in it", string(packets(3)), "video/mp4\r\nSet-Cookie: a=b", format.Format{ContentType: "video/mp2t", Ext: "ts"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := format.Detect([]byte(tc.head), tc.declared); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}
