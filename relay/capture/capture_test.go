package capture_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock/relay"
	"github.com/penstock-io/penstock/relay/capture"
)

// file is one in memory, with room for so many bytes; 0 is any number.
type file struct {
	bytes.Buffer
	room   int
	closed bool
}

var errFull = errors.New("no space left")

func (f *file) Write(b []byte) (int, error) {
	if f.room > 0 && f.Len()+len(b) > f.room {
		return 0, errFull
	}
	return f.Buffer.Write(b)
}

func (f *file) Close() error {
	f.closed = true
	return nil
}

var someone = relay.Info{
	ID: 300, Relay: "pg", From: netip.MustParseAddrPort("192.0.2.1:5000"),
	To: netip.MustParseAddrPort("[2001:db8::1]:5432"), Target: "db:5432",
}

// frame is a capture.Frame that lasts.
type frame struct {
	d    relay.Direction
	at   time.Duration
	data string
}

// readAll reads frames up to an error.
func readAll(t *testing.T, b []byte) (*capture.Reader, []frame, error) {
	r, err := capture.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	var all []frame
	for {
		f, err := r.Next()
		if err != nil {
			if _, again := r.Next(); again != err {
				t.Errorf("after %v comes %v", err, again)
			}
			return r, all, err
		}
		all = append(all, frame{f.Direction, f.At, string(f.Data)})
	}
}

// written is a capture of a short conversation.
func written(t *testing.T) []byte {
	var f file
	synctest.Test(t, func(t *testing.T) {
		someone := someone
		someone.Began = time.Now()
		w, err := capture.NewWriter(&f, someone)
		if err != nil {
			t.Fatal(err)
		}
		there, back := w.Side(relay.Forward), w.Side(relay.Backward)
		for _, one := range []struct {
			to   io.Writer
			text string
		}{{there, "hello"}, {back, "220 "}, {back, "yes"}, {there, strings.Repeat("x", 70_000)}} {
			time.Sleep(time.Second)
			if n, err := one.to.Write([]byte(one.text)); n != len(one.text) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		time.Sleep(time.Second)
		e := relay.Ending{Termination: relay.Termination{'C', 'D'}}
		e.Forward, e.Backward = relay.Share{Had: 70_005, Lost: 7}, relay.Share{Had: 7}
		if err := errors.Join(w.End(e), w.Close()); err != nil || !f.closed {
			t.Error(err)
		}
		if _, err := there.Write([]byte("more")); err == nil {
			t.Error("it takes something behind its end")
		}
	})
	return f.Bytes()
}

// TestWhatIsWrittenIsRead with its directions, times and end.
func TestWhatIsWrittenIsRead(t *testing.T) {
	r, got, err := readAll(t, written(t))
	if err != io.EOF {
		t.Fatal(err)
	}
	want := []frame{
		{relay.Forward, time.Second, "hello"},
		{relay.Backward, 2 * time.Second, "220 "},
		{relay.Backward, 3 * time.Second, "yes"},
		{relay.Forward, 4 * time.Second, strings.Repeat("x", 65536)},
		{relay.Forward, 4 * time.Second, strings.Repeat("x", 70_000-65536)},
	}
	if len(got) != len(want) {
		t.Fatalf("%d frames", len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("frame %d: %v after %v, %d bytes", i, got[i].d, got[i].at, len(got[i].data))
		}
	}
	i := r.Info()
	if i.Began.Unix() != 946684800 { // where the clock of a bubble begins
		t.Errorf("it began at %v", i.Began)
	}
	if i.Began = (time.Time{}); i != someone {
		t.Errorf("%+v", i)
	}
	e, ok := r.Ending()
	if wanted := (relay.Ending{
		Termination: relay.Termination{'C', 'D'}, Elapsed: 5 * time.Second,
		Forward: relay.Share{Had: 70_005, Lost: 7}, Backward: relay.Share{Had: 7},
	}); !ok || e != wanted {
		t.Errorf("%v, %+v", ok, e)
	}
}

// TestTheFormatIsAsDocumented byte by byte.
func TestTheFormatIsAsDocumented(t *testing.T) {
	var f file
	w, err := capture.NewWriter(&f, relay.Info{ID: 1, Relay: "r", Target: "t", Began: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Side(relay.Backward).Write([]byte("ab"))
	if err := errors.Join(err, w.End(relay.Ending{Termination: relay.Termination{'-', '-'}})); err != nil {
		t.Fatal(err)
	}
	b := f.Bytes()
	copy(b[10:18], make([]byte, 8)) // when
	const want = "895053430d0a1a0a" + "01" + "01" + "0000000000000000" + "0172" + "00" + "00" + "0174" +
		"02" + "00" + "02" + "6162" + "03" + "00" + "2d2d" + "00" + "00" + "02" + "00"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("%s\nand not %s", got, want)
	}
}

// TestACaptureThatIsCutShortIsReadUpToThere wherever that is, and says so.
func TestACaptureThatIsCutShortIsReadUpToThere(t *testing.T) {
	whole := written(t)
	_, all, _ := readAll(t, whole)
	for n := range whole {
		if n > 200 && n < len(whole)-200 && n%997 != 0 {
			continue
		}
		_, got, err := readAll(t, whole[:n])
		if err != capture.ErrCutShort || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		for i := range got {
			if got[i] != all[i] {
				t.Errorf("%d bytes: frame %d is another", n, i)
			}
		}
	}
}

// TestWhatIsNoCaptureIsRefused, and so is a damaged one.
func TestWhatIsNoCaptureIsRefused(t *testing.T) {
	whole := written(t)
	version := bytes.Clone(whole)
	version[8] = 2
	kind := bytes.Clone(whole)
	kind[len(kind)-30] = 0 // in the last frame's data, which is harmless
	for name, b := range map[string][]byte{
		"text": []byte("GET / HTTP/1.1\r\n"), "short text": []byte("G"), "version": version,
		"behind the end": append(bytes.Clone(whole), 0),
		"zeros":          append(bytes.Clone(whole[:len(whole)-1000]), make([]byte, 2000)...),
		"line ends":      bytes.Replace(whole, []byte("\r\n"), []byte("\n"), 1),
	} {
		if _, _, err := readAll(t, b); !errors.Is(err, capture.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := readAll(t, kind); err != io.EOF {
		t.Error(err)
	}
}

// TestAFileWithoutRoomEndsWithAWholeFrame, and what it lacks is in its end if that fits.
func TestAFileWithoutRoomEndsWithAWholeFrame(t *testing.T) {
	f := &file{room: 5000}
	w, err := capture.NewWriter(f, someone)
	if err != nil {
		t.Fatal(err)
	}
	there, back := w.Side(relay.Forward), w.Side(relay.Backward)
	if _, err := there.Write(make([]byte, 4000)); err != nil {
		t.Fatal(err)
	}
	if n, err := back.Write(make([]byte, 4000)); n != 0 || !errors.Is(err, errFull) {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := there.Write([]byte("small")); !errors.Is(err, errFull) {
		t.Errorf("something fits behind what does not: %v", err)
	}
	e := relay.Ending{Forward: relay.Share{Had: 4000, Lost: 5}, Backward: relay.Share{Lost: 4000}}
	if err := w.End(e); err != nil {
		t.Error(err)
	}
	r, got, err := readAll(t, f.Bytes())
	if err != io.EOF || len(got) != 1 {
		t.Fatalf("%d frames, %v", len(got), err)
	}
	if e, _ := r.Ending(); e.Forward != (relay.Share{Had: 4000, Lost: 5}) || e.Backward != (relay.Share{Lost: 4000}) {
		t.Errorf("%+v", e)
	}
}

// FuzzReader reads anything without panicking, and what it takes it would write likewise.
func FuzzReader(f *testing.F) {
	var small file
	w, err := capture.NewWriter(&small, someone)
	if err != nil {
		f.Fatal(err)
	}
	_, _ = w.Side(relay.Forward).Write([]byte("some"))
	_, _ = w.Side(relay.Backward).Write([]byte("bytes"))
	_ = w.End(relay.Ending{Termination: relay.Termination{'-', '-'}})
	f.Add(small.Bytes())
	f.Add(small.Bytes()[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, frames, err := readAll(t, b)
		if err == nil {
			t.Fatal("no end")
		}
		if r == nil {
			return
		}
		had := map[relay.Direction]int64{}
		for _, one := range frames {
			had[one.d] += int64(len(one.data))
			if len(one.data) == 0 || len(one.data) > len(b) {
				t.Errorf("a frame of %d bytes", len(one.data))
			}
		}
		e, ok := r.Ending()
		if ok != (err == io.EOF) || ok && (e.Forward.Had != had[relay.Forward] || e.Backward.Had != had[relay.Backward]) {
			t.Errorf("%v, %+v", ok, e)
		}
	})
}
