package testcard_test

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/penstock-io/penstock/live/testcard"
)

func ExampleCard_Frame() {
	card := testcard.New(640, 360)
	frame := card.Frame(nil, 1, time.Date(2025, 11, 21, 16, 7, 38, 0, time.UTC))

	picture, err := jpeg.Decode(bytes.NewReader(frame))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(picture.Bounds().Size())
	// Output:
	// (640,360)
}

// One viewer's stream. A server of many draws each part once and sends the same bytes to all.
func ExampleCard_Part() {
	const frames, every = 3, time.Second / 25

	stream := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", testcard.ContentType)
		card := testcard.New(320, 180)
		tick := time.NewTicker(every)
		defer tick.Stop()
		var part []byte
		for n := range uint64(frames) {
			part = card.Part(part[:0], n, <-tick.C)
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}

	viewer := httptest.NewRecorder()
	stream(viewer, httptest.NewRequest(http.MethodGet, "/live", nil))

	answer := viewer.Result()
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.Header.Get("Content-Type"))
	fmt.Println(bytes.Count(body, []byte("--"+testcard.Boundary)), "parts")
	// Output:
	// multipart/x-mixed-replace; boundary=penstock-frame
	// 3 parts
}
