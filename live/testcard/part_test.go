package testcard

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"testing"
	"time"
)

func TestPartsAreAMultipartBody(t *testing.T) {
	kind, params, err := mime.ParseMediaType(ContentType)
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/x-mixed-replace" || params["boundary"] != Boundary {
		t.Fatalf("the content type is %q with %v", kind, params)
	}

	const frames = 3
	at := func(n uint64) time.Time { return teatime.Add(time.Duration(n) * 40 * time.Millisecond) }
	card := New(sheetWidth, sheetHeight)
	var body []byte
	for n := range uint64(frames) {
		body = card.Part(body, n, at(n))
	}
	body = append(body, "--"+Boundary+"--\r\n"...)

	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for n := range uint64(frames) {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatalf("part %d: %v", n, err)
		}
		if got := part.Header.Get("Content-Type"); got != "image/jpeg" {
			t.Errorf("part %d is of type %q", n, got)
		}
		frame, err := io.ReadAll(part)
		if err != nil {
			t.Fatalf("part %d: %v", n, err)
		}
		if got, want := part.Header.Get("Content-Length"), strconv.Itoa(len(frame)); got != want {
			t.Errorf("part %d has %s bytes and says %s", n, want, got)
		}
		if want := card.Frame(nil, n, at(n)); !bytes.Equal(frame, want) {
			t.Errorf("part %d is not frame %d", n, n)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("after the last part: %v, want EOF", err)
	}
}

func TestPartAppendsInPlace(t *testing.T) {
	card := New(sheetWidth, sheetHeight)
	want := append([]byte("before"), card.Part(nil, 5, teatime)...)
	memory := make([]byte, 0, 2*len(want))
	got := card.Part(append(memory, "before"...), 5, teatime)
	if !bytes.Equal(got, want) {
		t.Error("the part is not what was there, followed by the part")
	}
	if &got[0] != &memory[:1][0] {
		t.Error("the part is not in the memory given, though there was room")
	}
}
