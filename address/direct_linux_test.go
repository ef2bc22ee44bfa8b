package address_test

import (
	"errors"
	"io"
	"os"
	"testing"

	. "github.com/penstock-io/penstock/address"
)

// aDisk skips where the tests' folder is on a file system without O_DIRECT.
func aDisk(t *testing.T) string {
	t.Helper()
	path := write(t, "x", nil)
	e, err := parse(t, "file:"+path+"?direct").Open(t.Context(), Destination, Config{})
	if err != nil {
		t.Skip("the folder for temporary files: ", err)
	}
	if err := e.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDirectWritesAndReadsWhatIsNoWholeBlock(t *testing.T) {
	path := aDisk(t)
	all := stream()
	for _, n := range []int{0, 1, 4095, 4096, 4097, 1 << 20, len(all)} {
		want := all[:n]
		fill(t, open(t, "file:"+path+"?direct&sync", Destination, Config{}), want)
		same(t, read(t, path), want)
		e := open(t, "file:"+path+"?direct", Source, Config{})
		if _, ok := e.Reader.(*os.File); ok || e.Size != int64(n) {
			t.Errorf("%T of %d bytes", e.Reader, e.Size)
		}
		same(t, drain(t, e), want)
	}
	same(t, drain(t, open(t, "file:"+path+"?direct&offset=5000", Source, Config{Offset: 70_001})), all[75_001:])
}

func TestDirectGoesOnWhereAFileEnds(t *testing.T) {
	path := aDisk(t)
	all := stream()
	for _, resume := range []bool{false, true} {
		if err := os.WriteFile(path, all[:5001], 0o600); err != nil {
			t.Fatal(err)
		}
		option := "?direct"
		if !resume {
			option += "&append"
		}
		e := open(t, "file:"+path+option, Destination, Config{Resume: resume})
		// In pieces that are no blocks, too.
		for at, n := 5001, 1; at < len(all); n = 3*n + 1 {
			m, err := e.Writer.Write(all[at:min(at+n, len(all))])
			if at += m; err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, read(t, path), all)
	}
}

func TestDirectKeepsWhatItHasTakenWhenItIsGivenUp(t *testing.T) {
	path := aDisk(t)
	e := open(t, "file:"+path+"?direct", Destination, Config{})
	if _, err := e.Writer.Write([]byte("seven b")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, read(t, path), []byte("seven b"))
}

func TestDirectIsRefusedWhereThereIsNone(t *testing.T) {
	fails(t, "file:/dev/null?direct", Destination, `option "direct": is for files and disks`)
	a := parse(t, "file:/proc/self/status?direct")
	e, err := a.Open(t.Context(), Source, Config{})
	if err == nil {
		_, err = io.ReadAll(e.Reader)
		t.Fatal("is opened, and then ", err)
	}
	says(t, a, err, `option "direct": the file system has no direct I/O`)
	var one *Error
	if !errors.As(err, &one) || one.Part != `option "direct"` {
		t.Error(err)
	}
}
