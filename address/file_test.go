package address_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	. "github.com/penstock-io/penstock/address"
)

func TestAFileIsReadAndWrittenWhole(t *testing.T) {
	want := stream()
	from := write(t, "from", want)
	src := open(t, from, Source, Config{})
	if _, ok := src.Reader.(*os.File); !ok || src.Size != int64(len(want)) || src.Writer != nil {
		t.Errorf("a source of %d bytes, %T", src.Size, src.Reader)
	}
	got := drain(t, src)
	same(t, got, want)
	to := write(t, "to", bytes.Repeat([]byte("old"), 9<<20))
	dst := open(t, "file:"+to+"?sync", Destination, Config{})
	if _, ok := dst.Writer.(*os.File); !ok || dst.Reader != nil {
		t.Errorf("a destination %T", dst.Writer)
	}
	fill(t, dst, got)
	same(t, read(t, to), want)
}

func TestAFilesOptionsSayWhereItIsWritten(t *testing.T) {
	for _, tc := range []struct {
		options string
		resume  bool
		offset  int64 // of the end
		want    string
	}{
		{"", false, 0, "new"},
		{"?append", false, 0, "0123456789new"},
		{"?offset=2", false, 0, "01new56789"},
		{"?offset=12", false, 0, "0123456789\x00\x00new"},
		{"", true, 10, "0123456789new"},
		{"?offset=4", true, 6, "0123456789new"},
		{"?append", true, 10, "0123456789new"},
	} {
		t.Run(tc.options, func(t *testing.T) {
			path := write(t, "x", []byte("0123456789"))
			e := open(t, "file:"+path+tc.options, Destination, Config{Resume: tc.resume})
			if e.Offset != tc.offset {
				t.Errorf("%d bytes were there, want %d", e.Offset, tc.offset)
			}
			fill(t, e, []byte("new"))
			same(t, read(t, path), []byte(tc.want))
		})
	}
}

func TestASourceBeginsWhereItIsTold(t *testing.T) {
	path := write(t, "x", []byte("0123456789"))
	e := open(t, "file:"+path+"?offset=2", Source, Config{Offset: 3})
	if e.Size != 5 || e.Skip != 0 {
		t.Errorf("%d bytes to come, %d to be skipped", e.Size, e.Skip)
	}
	same(t, drain(t, e), []byte("56789"))
	fails(t, "file:"+path+"?offset=11", Source, "offset 11: there are 10 bytes")
}

func TestAFileIsMadeWithItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	fill(t, open(t, "file:"+path+"?mode=0600&excl", Destination, Config{}), []byte("x"))
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
	fails(t, "file:"+path+"?excl", Destination, "file exists")
}

func TestAFileThatCannotBeOpenedSaysWhy(t *testing.T) {
	dir := t.TempDir()
	fails(t, dir, Source, "is a directory")
	fails(t, dir, Destination, "is a directory")
	fails(t, dir+"/none", Source, "no such file or directory")
	fails(t, dir+"/no/ne", Source, `folder "`+dir+`/no": no such file or directory`)
	fails(t, dir+"/no/ne", Destination, `folder "`+dir+`/no": no such file or directory`)
	file := write(t, "x", nil)
	fails(t, file+"/x", Source, "not a directory")
	a := parse(t, dir+"/none")
	if _, err := a.Open(t.Context(), Source, Config{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if os.Getuid() == 0 {
		t.Log("no file is closed to root: the one without permissions is not tried")
		return
	}
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	fails(t, file, Source, "permission denied")
	fails(t, file, Destination, "permission denied")
}

func TestNullEndsAtOnceAndTakesEverything(t *testing.T) {
	e := open(t, "null:", Source, Config{})
	if e.Size != 0 {
		t.Error(e.Size)
	}
	same(t, drain(t, e), nil)
	fill(t, open(t, "null:", Destination, Config{}), stream())
}

func TestZeroAndRandomGoOn(t *testing.T) {
	for _, text := range []string{"zero:", "random:"} {
		e := open(t, text, Source, Config{})
		b := make([]byte, 1<<20)
		n := readFull(t, e.Reader, b)
		zeros := bytes.Count(b, []byte{0})
		if n != len(b) || (zeros == n) != (text == "zero:") || text == "random:" && (zeros < n/512 || zeros > n/128) {
			t.Errorf("%s: %d bytes, of which %d are zero", text, n, zeros)
		}
		if err := e.Finish(t.Context()); err != nil || e.Size != -1 {
			t.Error(e.Size, err)
		}
	}
}

func TestWhatAFullDeviceDoesNotTakeIsAnError(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full: ", err)
	}
	e := open(t, "/dev/full", Destination, Config{})
	if _, err := e.Writer.Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Finish(t.Context()); err != nil {
		t.Error("after Close: ", err)
	}
}
