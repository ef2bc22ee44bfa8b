package live

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestRecordingsSortInTheOrderTheyWereBegunIn: so that cat DIR/NAME/*.ts is the stream, however short its segments are.
func TestRecordingsSortInTheOrderTheyWereBegunIn(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := time.Date(2026, 1, 2, 3, 4, 5, 998e6, time.UTC)
	var begun []string
	for i := range 24 { // at times several at once, and across the second
		f, err := s.create("cam", "ts", at.Add(time.Duration(i/8)*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		begun = append(begun, filepath.Base(f.Name()))
	}
	entries, err := os.ReadDir(filepath.Join(dir, "cam")) // sorted
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, begun) {
		t.Errorf("begun in the order %q, sorted %q", begun, names)
	}
}
