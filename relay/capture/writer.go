package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// Writer writes a capture. The sides and End may be used from different goroutines at once.
type Writer struct {
	began time.Time

	mu   sync.Mutex // guards what follows
	f    io.WriteCloser
	buf  []byte
	good int64 // bytes of whole frames
	had  [2]int64
	last time.Duration
	err  error // what the file has failed with, or that it has ended: nothing more is written
}

// NewWriter writes the header to f, which it takes ownership of. If that fails, f is closed.
func NewWriter(f io.WriteCloser, c relay.Info) (*Writer, error) {
	w := &Writer{f: f, began: c.Began}
	if err := w.header(c); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

func (w *Writer) header(c relay.Info) error {
	b := append([]byte(magic), version)
	b = binary.AppendUvarint(b, c.ID)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Began.UnixNano()))
	for _, text := range []string{c.Relay, addressText(c.From), addressText(c.To), c.Target} {
		if len(text) > maxText {
			return fmt.Errorf("capture: a text of %d bytes: want %d at most", len(text), maxText)
		}
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.putLocked(b)
}

func addressText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// Side returns what takes the bytes of one direction, [relay.Forward] or [relay.Backward]. Its Close does nothing: the
// Writer's does.
func (w *Writer) Side(d relay.Direction) io.WriteCloser {
	if d == relay.Backward {
		return &side{w, backwardFrame}
	}
	return &side{w, forwardFrame}
}

type side struct {
	w    *Writer
	kind byte
}

// Write writes b in frames. After an error, of either side, every further one has the same, and the file ends with the
// last frame that is whole.
func (s *side) Write(b []byte) (done int, err error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for done < len(b) {
		piece := b[done:min(len(b), done+maxFrame)]
		if err := s.w.frameLocked(s.kind, piece); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return done, nil
}

func (s *side) Close() error { return nil }

// frameLocked writes one frame, in one write. The lock is held.
func (w *Writer) frameLocked(kind byte, b []byte) error {
	h := append(w.buf[:0], kind)
	h = binary.AppendUvarint(h, uint64(w.nowLocked()))
	h = binary.AppendUvarint(h, uint64(len(b)))
	w.buf = append(h, b...)
	if err := w.putLocked(w.buf); err != nil {
		return err
	}
	w.had[kind-forwardFrame] += int64(len(b))
	return nil
}

func (w *Writer) nowLocked() time.Duration {
	w.last = max(w.last, time.Since(w.began), 0)
	return w.last
}

// putLocked writes what is to be there wholly or not at all. The lock is held.
func (w *Writer) putLocked(b []byte) error {
	if w.err != nil {
		return w.err
	}
	n, err := w.f.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		w.good += int64(n)
		return nil
	}
	w.err = err
	if f, is := w.f.(*os.File); is && n > 0 {
		if terr := f.Truncate(w.good); terr == nil {
			_, terr = f.Seek(w.good, io.SeekStart)
			err = errors.Join(err, terr)
		}
	}
	return err
}

// End writes how it ended, after the last Write. A file that has failed is tried once more: where a frame did not
// fit on the disk, the end may.
func (w *Writer) End(e relay.Ending) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, os.ErrClosed) {
		return w.err
	}
	b := append(w.buf[:0], endFrame)
	b = binary.AppendUvarint(b, uint64(max(w.nowLocked(), e.Elapsed)))
	b = append(b, e.Termination[:]...)
	for i, s := range []relay.Share{e.Forward, e.Backward} {
		b = binary.AppendUvarint(b, uint64(w.had[i]))
		// What a file that failed was given, and could not keep, is lost as well.
		lost := min(max(s.Had+s.Lost-w.had[i], 0), math.MaxInt64)
		b = binary.AppendUvarint(b, uint64(lost))
	}
	w.err = nil
	err := w.putLocked(b)
	w.err = os.ErrClosed
	return err
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.buf = os.ErrClosed, nil
	return w.f.Close()
}
