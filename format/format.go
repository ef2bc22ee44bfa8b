// Package format knows the containers that live streams come in: what to call them, what players want to be told, and
// what a recording's file should end in; and of some, where in a stream a viewer may begin. It never changes a byte.
//
// [Detect] names a format by a stream's first bytes. Its [Format.Scanner] then follows the stream:
//
//	container                       units          a viewer begins
//	MPEG transport stream           packets        at a random access point, behind PAT and PMT
//	multipart/x-mixed-replace       parts          at a delimiter
//	others                          not known      where it likes, or at the stream's beginning
package format

import (
	"bytes"
	"mime"
	"net/http"
	"strings"
)

// Format is a container format. The zero Format is of a stream that has not shown a byte yet.
type Format struct {
	ContentType string // as in HTTP, with parameters
	Ext         string // of a recording, without the dot
}

// Raw is what any stream is when nothing better is known.
var Raw = Format{"application/octet-stream", "bin"}

// Vague tells that the bytes looked like nothing in particular.
func (f Format) Vague() bool { return f == Raw || f.Ext == "txt" }

// HeadSize is how many first bytes Detect can make use of.
const HeadSize = 512

// exts are the file endings of the media types that live streams have, and that a publisher may declare.
var exts = map[string]string{
	"video/mp2t":                "ts",
	"video/mp4":                 "mp4",
	"video/webm":                "webm",
	"video/x-matroska":          "mkv",
	"video/x-flv":               "flv",
	"video/ogg":                 "ogv",
	"audio/ogg":                 "ogg",
	"application/ogg":           "ogg",
	"audio/mpeg":                "mp3",
	"audio/aac":                 "aac",
	"audio/wave":                "wav",
	"audio/wav":                 "wav",
	"image/jpeg":                "jpeg",
	"text/plain":                "txt",
	"multipart/x-mixed-replace": "mjpeg",
}

// Detect names the format of a stream that begins with head and whose publisher declares a content type, which may be
// empty. A declaration is believed if it says anything; else the bytes decide.
func Detect(head []byte, declared string) Format {
	if f, ok := declaredFormat(declared); ok {
		return f
	}
	if len(head) == 0 {
		return Raw
	}
	if transportStream(head) {
		return Format{"video/mp2t", "ts"}
	}
	if boundary, ok := multipartBoundary(head); ok {
		return Format{mime.FormatMediaType("multipart/x-mixed-replace", map[string]string{"boundary": boundary}), "mjpeg"}
	}
	if bytes.HasPrefix(head, []byte("FLV\x01")) {
		return Format{"video/x-flv", "flv"}
	}
	sniffed := http.DetectContentType(head)
	if media, _, err := mime.ParseMediaType(sniffed); err == nil && exts[media] != "" {
		return Format{sniffed, exts[media]}
	}
	return Raw
}

// declaredFormat believes no type that clients send for want of one, and none that does not parse: it will stand in
// other people's response headers.
func declaredFormat(declared string) (Format, bool) {
	media, params, err := mime.ParseMediaType(declared)
	if err != nil {
		return Format{}, false
	}
	switch media {
	case "application/octet-stream", "application/x-www-form-urlencoded":
		return Format{}, false
	}
	clean := mime.FormatMediaType(media, params)
	if clean == "" || !strings.Contains(media, "/") {
		return Format{}, false
	}
	ext := exts[media]
	if ext == "" {
		ext = Raw.Ext
	}
	return Format{clean, ext}, true
}

// transportStream tells an MPEG transport stream by its sync bytes, as many as there are to be seen.
func transportStream(head []byte) bool {
	const packet, sync = 188, 0x47
	if len(head) < packet {
		return false
	}
	for i := 0; i < len(head); i += packet {
		if head[i] != sync {
			return false
		}
	}
	return true
}

// multipartBoundary finds "--boundary CRLF Content-Type:" at the beginning, with or without an empty line before it.
func multipartBoundary(head []byte) (string, bool) {
	line, rest, ok := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	name, dashes := bytes.CutPrefix(bytes.TrimRight(line, "\r"), []byte("--"))
	if !ok || !dashes || len(name) == 0 || len(name) > 70 {
		return "", false
	}
	header := []byte("content-type:")
	return string(name), len(rest) >= len(header) && bytes.EqualFold(rest[:len(header)], header)
}
