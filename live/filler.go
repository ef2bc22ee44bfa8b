package live

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/penstock-io/penstock/format"
)

// Filler is a file that streams show while they have no publisher: over and over, at its own speed, whole units only.
// It is opened once and may be used by any number of streams at a time, those of its format.
type Filler struct {
	file   *os.File
	format format.Format

	steps  []step        // in their order; never empty
	size   int64         // where the last step ends
	length time.Duration // how long one round takes
}

// step is a run of the file that goes out at once: it begins a unit, and ends where the next step begins.
type step struct {
	off int64
	at  time.Duration // since the beginning of the round
}

// fillerRun is how much of a file goes out at once at a given rate, so far as its units allow.
const fillerRun = 32 * format.PacketSize

// ErrNoRate is for a filler of a format that does not tell how fast it is, and no rate given.
var ErrNoRate = errors.New("does not tell how fast it is")

// OpenFiller opens a file of MPEG-TS or of multipart/x-mixed-replace: other formats cannot begin in the middle of a
// stream. rate is in bytes per second; 0 is as the file tells, which MPEG-TS does by its clock. The file is read once
// to its end. The caller closes the Filler, after the servers that use it.
func OpenFiller(path string, rate int64) (*Filler, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &Filler{file: file}
	if err := f.look(rate); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Round returns how many bytes are shown before it begins anew, and how long that takes.
func (f *Filler) Round() (bytes int64, takes time.Duration) { return f.size - f.steps[0].off, f.length }

// Close closes the file.
func (f *Filler) Close() error { return f.file.Close() }

// look finds the steps.
func (f *Filler) look(rate int64) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	head := make([]byte, format.HeadSize)
	n, err := f.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	f.format = format.Detect(head[:n], "")
	scanner := f.format.Scanner()
	if scanner == nil {
		return fmt.Errorf("looks like %s, which cannot begin in the middle of a stream: want MPEG-TS or multipart",
			f.format.ContentType)
	}
	whole := bufio.NewReaderSize(io.NewSectionReader(f.file, 0, info.Size()), 64<<10)
	if f.format.Ext == "ts" {
		err = f.lookForClock(whole)
	} else {
		err = f.lookForParts(whole, scanner)
	}
	switch {
	case err != nil:
		return err
	case f.size == 0:
		return errors.New("holds nothing whole to show")
	case rate > 0:
		f.spread(rate)
	case f.length <= 0:
		return ErrNoRate
	}
	return nil
}

// lookForClock makes a step of what is between two packets with a clock, and at what that says. What comes before the
// first goes out with it; what comes behind the last takes as long as it does on the average. Without a clock a step is
// just a run of packets.
func (f *Filler) lookForClock(r io.Reader) error {
	const jump = 10 * format.ClockRate // no pause: the file was cut there
	var (
		packet        [format.PacketSize]byte
		clockPID      int
		last, sum     int64 // what the clock was, and how far it has gone
		first, newest int64 // where it was read
	)
	for {
		n, err := io.ReadFull(r, packet[:])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
		if packet[0] != 0x47 {
			return fmt.Errorf("no packet of MPEG-TS at byte %d", f.size)
		}
		switch ticks, pid, ok := format.Clock(packet[:]); {
		case !ok:
		case len(f.steps) == 0:
			clockPID, last, first, newest = pid, ticks, f.size, f.size
			f.steps = append(f.steps, step{})
		case pid == clockPID:
			if d := (ticks - last + format.ClockWrap) % format.ClockWrap; d < jump {
				sum += d
			}
			last, newest = ticks, f.size
			f.steps = append(f.steps, step{f.size, clockTime(sum)})
		}
		f.size += int64(n)
	}
	if sum > 0 {
		f.length = clockTime(sum)
		f.length += time.Duration(float64(f.length) * float64(f.size-newest) / float64(newest-first))
		return nil
	}
	f.steps = nil
	for off := int64(0); off < f.size; off += fillerRun {
		f.steps = append(f.steps, step{off: off})
	}
	return nil
}

func clockTime(ticks int64) time.Duration {
	return time.Duration(ticks) * 1000 / (format.ClockRate / 1e6)
}

// lookForParts makes a step of each part, up to a closing delimiter. What stands behind the last delimiter is no whole
// part.
func (f *Filler) lookForParts(r io.Reader, scanner format.Scanner) error {
	const piece = 16 // so small that there is but one delimiter in it
	var run []byte
	for off := int64(0); ; {
		n := len(run)
		run = append(run, make([]byte, piece)...)
		m, err := io.ReadFull(r, run[n:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		run = run[:n+m]
		join, cut, end := scanner.Scan(run)
		if cut >= 0 && len(f.steps) > 0 {
			f.size = off + int64(cut)
		}
		if err != nil || cut >= 0 && join < 0 { // the end, or a closing delimiter
			break
		}
		if join >= 0 {
			f.steps = append(f.steps, step{off: off + int64(join)})
		}
		off += int64(end)
		run = append(run[:0], run[end:]...)
	}
	if n := len(f.steps); n > 0 && f.steps[n-1].off >= f.size {
		f.steps = f.steps[:n-1]
	}
	return nil
}

// spread sets the steps' times from a rate in bytes per second.
func (f *Filler) spread(rate int64) {
	first := f.steps[0].off
	after := func(off int64) time.Duration {
		return time.Duration(float64(off-first) / float64(rate) * float64(time.Second))
	}
	for i := range f.steps {
		f.steps[i].at = after(f.steps[i].off)
	}
	f.length = after(f.size)
}

// read returns the bytes of a step, in storage of the caller's that it may grow.
func (f *Filler) read(b []byte, i int) ([]byte, error) {
	end := f.size
	if i+1 < len(f.steps) {
		end = f.steps[i+1].off
	}
	n := int(end - f.steps[i].off)
	if cap(b) < n {
		b = make([]byte, n)
	}
	b = b[:n]
	if _, err := f.file.ReadAt(b, f.steps[i].off); err != nil {
		return nil, fmt.Errorf("the filler has changed: %w", err)
	}
	return b, nil
}
