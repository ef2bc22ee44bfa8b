package address_test

import (
	"io"
	"os"
	"testing"

	. "github.com/penstock-io/penstock/address"
)

func readFull(t *testing.T, r io.Reader, b []byte) int {
	t.Helper()
	n, err := io.ReadFull(r, b)
	if err != nil {
		t.Error(err)
	}
	return n
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

func TestTheStandardStreamsAreWhatTheyAreGiven(t *testing.T) {
	want := stream()
	in, toIn := pipe(t)
	fromOut, out := pipe(t)
	defer meanwhile(func() {
		_, _ = toIn.Write(want)
		toIn.Close()
	})()
	both := open(t, "-", Both, Config{Stdin: in, Stdout: out})
	if both.Reader != in || both.Writer != out {
		t.Error("they are not the files themselves")
	}
	got := make(chan []byte, 1)
	defer meanwhile(func() {
		b, _ := io.ReadAll(fromOut)
		got <- b
	})()
	b, err := io.ReadAll(both.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, both, b)
	same(t, <-got, want)
	if _, err := in.Stat(); err != nil {
		t.Error("standard input is closed, too: ", err)
	}
}

func TestAStandardInputThatIsAFileIsReadFromWhereItStands(t *testing.T) {
	f, err := os.Open(write(t, "x", []byte("0123456789")))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	e := open(t, "-", Source, Config{Stdin: f, Offset: 3})
	if e.Size != 5 || e.Skip != 0 {
		t.Error(e.Size, e.Skip)
	}
	same(t, drain(t, e), []byte("56789"))
	r, w := pipe(t)
	w.Close()
	if e := open(t, "-", Source, Config{Stdin: r, Offset: 3}); e.Skip != 3 || e.Size != -1 {
		t.Error("of a pipe", e.Size, e.Skip)
	}
}
