package recording_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// A stream goes to disk in segments, while somebody reads it from the middle.
func Example() {
	dir, err := os.MkdirTemp("", "recording")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()

	segments := 0
	rec := recording.New(recording.Config{
		SegmentBytes: 10,
		Create: func(time.Time) (*os.File, error) {
			segments++
			name := fmt.Sprintf("%d.txt", segments)
			return root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		},
		Open: func(name string) (*os.File, error) { return root.Open(filepath.Base(name)) },
	})

	pipe := penstock.NewPipe(0)
	defer pipe.Close()
	for _, line := range []string{"one\n", "two\n", "three\n", "four\n"} {
		n, _ := io.WriteString(pipe, line)
		rec.Mark(rec.End(), time.Now()) // a line is what a segment may begin with
		if _, err := rec.SpliceWrite(pipe, n, 0); err != nil {
			log.Fatal(err)
		}
	}

	f, n, err := rec.Open(4)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := io.ReadFull(f, b); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q from %s\n", b, filepath.Base(f.Name()))
	if err := rec.Close(nil); err != nil {
		log.Fatal(err)
	}
	st := rec.Status()
	fmt.Println(st.Segments, "segments,", st.Bytes, "bytes")
	// Output:
	// "two\nthree\n" from 1.txt
	// 2 segments, 19 bytes
}
