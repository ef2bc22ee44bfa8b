package live_test

import (
	"image/jpeg"
	"io"
	"mime"
	"mime/multipart"
	"testing"
)

// checkMotionJPEG decodes so many pictures, the first of which must be whole.
func checkMotionJPEG(t *testing.T, contentType string, body io.Reader, pictures int) {
	t.Helper()
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/x-mixed-replace" {
		t.Fatalf("content type %q: %v", contentType, err)
	}
	parts := multipart.NewReader(body, params["boundary"])
	for i := range pictures {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
		if _, err := jpeg.Decode(part); err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
	}
}
