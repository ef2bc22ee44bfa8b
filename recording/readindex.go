package recording

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Index is what an index file says.
type Index struct {
	Segments []IndexSegment
	Places   []IndexPlace
	Gaps     []IndexRun // bytes that are in no segment
	Doubts   []IndexRun // bytes that are in a segment, but may not have reached the disk
	End      *IndexEnd  // nil: the recording is going on, or was cut off
}

// IndexSegment is one file. It holds the bytes of the stream from From to To. To is -1 of the last segment where the
// recording has not ended: as far as the file goes.
type IndexSegment struct {
	Name     string // beside the index
	From, To int64
	At       time.Time // when the byte at From arrived
}

// IndexPlace says when a byte arrived.
type IndexPlace struct {
	Off  int64
	At   time.Time
	Join bool // the stream can be joined there
}

// IndexRun is a run of bytes that something was wrong with, since At.
type IndexRun struct {
	From, To int64
	At       time.Time
	Reason   string
}

// IndexEnd is the end of a recording.
type IndexEnd struct {
	Off    int64 // of the stream
	At     time.Time
	Reason string // empty at the end of the stream
}

// maxIndexLine is the longest line of an index: a file name of any system and a reason, quoted.
const maxIndexLine = 64 << 10

// ErrIndex is what the errors of ReadIndex are that are not the reader's.
var ErrIndex = errors.New("not an index of a recording")

// ReadIndex reads an index file, which is text: the line "penstock-recording 1" and then, in the order of the stream, a
// line for each thing that there is to say. Offsets are decimal, times as in RFC 3339 in UTC, texts quoted as in Go.
//
//	segment 0 2026-11-21T11:50:32.5Z "20261121T115032Z.ts"      at this offset a file begins
//	join 188000 2026-11-21T11:50:34Z                            the stream can be joined here
//	place 1048576 2026-11-21T11:50:35Z                          where it can be joined nowhere: the byte arrived then
//	gap 500000 700000 2026-11-21T11:50:40Z "no space left on device"   these bytes, from and to, are in no file
//	doubt 0 188000 2026-11-21T11:50:50Z "input/output error"    these are, but may not have reached the disk
//	end 900000 2026-11-21T11:51:00Z "aborted"                   the recording ended, with a reason if it has one
//
// A segment ends where the next segment or gap begins, or at the end. A doubt may come later than what it is about.
//
// A last line that does not end was torn by a crash, and is left out. With any other line that is wrong the error is
// ErrIndex, and what was before it is returned.
func ReadIndex(r io.Reader) (Index, error) {
	var x Index
	lines := bufio.NewReaderSize(r, maxIndexLine)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return x, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return x, fmt.Errorf("%w: line %d is too long", ErrIndex, n)
		case err != nil:
			return x, err
		}
		text := string(line[:len(line)-1])
		if n == 1 {
			if text != indexHead {
				return x, fmt.Errorf("%w: it begins with %.40q", ErrIndex, text)
			}
			continue
		}
		if err := x.add(text); err != nil {
			return x, fmt.Errorf("%w: line %d: %w", ErrIndex, n, err)
		}
	}
}

// add takes one line in.
func (x *Index) add(line string) error {
	if x.End != nil {
		return errors.New("behind the end")
	}
	l := indexLine{rest: line}
	switch word := l.field(); word {
	case "segment":
		s := IndexSegment{From: l.offset(), To: growing, At: l.time(), Name: l.text()}
		if l.finish(); l.err == nil {
			if l.err = x.cut(s.From); l.err == nil {
				x.Segments = append(x.Segments, s)
			}
		}
	case "join", "place":
		p := IndexPlace{Off: l.offset(), At: l.time(), Join: word == "join"}
		if l.finish(); l.err == nil {
			x.Places = append(x.Places, p)
		}
	case "gap", "doubt":
		run := IndexRun{From: l.offset(), To: l.offset(), At: l.time(), Reason: l.text()}
		if l.finish(); l.err == nil && run.To < run.From {
			l.err = errors.New("it ends before it begins")
		}
		if l.err == nil && word == "doubt" {
			x.Doubts = append(x.Doubts, run)
		} else if l.err == nil {
			if l.err = x.cut(run.From); l.err == nil {
				x.Gaps = append(x.Gaps, run)
			}
		}
	case "end":
		end := IndexEnd{Off: l.offset(), At: l.time()}
		if l.rest != "" {
			end.Reason = l.text()
		}
		if l.finish(); l.err == nil {
			if l.err = x.cut(end.Off); l.err == nil {
				x.End = &end
			}
		}
	default:
		return fmt.Errorf("%.40q is nothing that an index says", word)
	}
	return l.err
}

// cut ends the segment that goes on, where something else begins. Segments and gaps tile the stream.
func (x *Index) cut(from int64) error {
	at := int64(0)
	if n := len(x.Gaps); n > 0 {
		at = x.Gaps[n-1].To
	}
	if n := len(x.Segments); n > 0 {
		last := &x.Segments[n-1]
		if last.To == growing {
			if from <= last.From {
				return fmt.Errorf("offset %d is not behind %d, where a segment begins", from, last.From)
			}
			last.To = from
			return nil
		}
		at = max(at, last.To)
	}
	if from != at {
		return fmt.Errorf("offset %d, where what was before ended at %d", from, at)
	}
	return nil
}

// indexLine is a line being taken apart. After the first error nothing more is.
type indexLine struct {
	rest string
	err  error
}

func (l *indexLine) field() (f string) {
	f, l.rest, _ = strings.Cut(l.rest, " ")
	return f
}

func (l *indexLine) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

func (l *indexLine) offset() int64 {
	off, err := strconv.ParseInt(l.field(), 10, 64)
	if err == nil && off < 0 {
		err = errors.New("a negative offset")
	}
	l.fail(err)
	return off
}

func (l *indexLine) time() time.Time {
	at, err := time.Parse(time.RFC3339Nano, l.field())
	l.fail(err)
	return at
}

// text takes the rest of the line.
func (l *indexLine) text() string {
	text, err := strconv.Unquote(l.rest)
	l.fail(err)
	l.rest = ""
	return text
}

func (l *indexLine) finish() {
	if l.rest != "" {
		l.fail(fmt.Errorf("%.40q is too much", l.rest))
	}
}
