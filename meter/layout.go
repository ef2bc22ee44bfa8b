package meter

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// layout is how a line is put together.
type layout struct {
	segments []segment
	fit      bool // segments stand apart, and those that matter least give way; else they are cut where the line ends
	named    int  // columns of the widest name, so that bars stand below each other
	now      func() time.Time
}

const (
	leastNamed = 9  // columns of a name, as in pv
	leastBar   = 12 // columns of a bar with its percentage, or there is none
	easyBar    = 20 // a path is not worth a bar that is shorter
)

// givesWay are the kinds that are left out where there is no room, the first ones first.
var givesWay = []kind{showPath, showAverage, showProgress, showETA, showFinETA, showRate, showTimer, showPercent}

// line shows a transfer in at most so many columns.
func (l *layout) line(f figures, name string, width int) string {
	segments := slices.Clone(l.segments)
	texts := make([]string, len(segments))
	for i, s := range segments {
		texts[i] = l.text(s.kind, f, name, width)
		if s.kind == literal {
			texts[i] = s.text
		}
	}
	if l.fit {
		segments, texts = l.giveWay(segments, texts, f, width)
	}
	l.stretch(segments, texts, f, width)
	gap := ""
	if l.fit {
		texts = slices.DeleteFunc(texts, func(t string) bool { return t == "" })
		gap = " "
	}
	return cut(strings.Join(texts, gap), width)
}

// giveWay leaves out what there is no room for. Of a bar the percentage may stay.
func (l *layout) giveWay(segments []segment, texts []string, f figures, width int) ([]segment, []string) {
	for _, k := range givesWay {
		bar := leastBar
		if i := slices.IndexFunc(segments, func(s segment) bool { return s.kind == showPath }); i >= 0 && texts[i] != "" {
			bar = easyBar
		}
		need := -1 // no gap in front of the first
		for i, s := range segments {
			switch {
			case s.kind == showProgress:
				need += 1 + bar
			case texts[i] != "":
				need += 1 + columns(texts[i])
			}
		}
		if need <= width {
			break
		}
		for i, s := range segments {
			switch {
			case s.kind != k:
			case k == showProgress:
				segments[i].kind, texts[i] = showPercent, strings.TrimSpace(percentage(f))
			default:
				texts[i] = ""
			}
		}
	}
	return segments, texts
}

// stretch gives bars the room that is left, in equal parts.
func (l *layout) stretch(segments []segment, texts []string, f figures, width int) {
	bars, gaps, taken := 0, -1, 0
	for i, s := range segments {
		bar := s.kind == showProgress || s.kind == showBar
		if bar && s.width == 0 {
			bars++
		}
		if bar && s.width > 0 {
			texts[i] = barOf(s, f, s.width)
		}
		if taken += columns(texts[i]); bar || texts[i] != "" {
			gaps++
		}
	}
	if l.fit {
		taken += max(gaps, 0)
	}
	for i, s := range segments {
		if (s.kind == showProgress || s.kind == showBar) && s.width == 0 {
			texts[i] = barOf(s, f, (width-taken)/bars)
		}
	}
}

// text is a segment's, but for bars, which need to know what the others have left.
func (l *layout) text(k kind, f figures, name string, width int) string {
	switch k {
	case showName:
		if name == "" {
			return ""
		}
		most := max(leastNamed, width/3)
		return fmt.Sprintf("%s%s:", strings.Repeat(" ", max(min(l.named, most)-columns(name), 0)), cutFront(name, most))
	case showBytes:
		return amount(float64(f.here()))
	case showTimer:
		return clock(f.Elapsed)
	case showRate:
		return "[" + amount(f.rate) + "/s]"
	case showAverage:
		return "(" + amount(f.average) + "/s)"
	case showPercent:
		return percentage(f)
	case showETA:
		if f.Total < 0 || f.Ended {
			return ""
		}
		if f.left < 0 {
			return "ETA -:--:--"
		}
		return "ETA " + clock(f.left)
	case showFinETA:
		return l.arrival(f)
	case showNote:
		return Clean(f.Note)
	case showStalled:
		return stall(f)
	case showPath:
		return Clean(f.Path)
	}
	return ""
}

// arrival is when the transfer will be over, with the date if that is more than six hours away.
func (l *layout) arrival(f figures) string {
	if f.Total < 0 || f.Ended {
		return ""
	}
	form := time.TimeOnly
	switch {
	case f.left < 0:
		return "FIN --:--:--"
	case f.left > 6*time.Hour:
		form = time.DateTime
	}
	return "FIN " + l.now().Add(f.left).Format(form)
}

func stall(f figures) string {
	if f.Stalled == "" || f.StalledFor <= time.Second || f.Ended {
		return ""
	}
	if f.Stalled == RateLimit {
		return RateLimit + " " + brief(f.StalledFor)
	}
	return Clean(f.Stalled) + " stalled " + brief(f.StalledFor)
}

// percentage is " 45%", or nothing if the size is not known.
func percentage(f figures) string {
	n, known := f.percent()
	if !known {
		return ""
	}
	return fmt.Sprintf("%3d%%", n)
}

// barOf draws a bar in so many columns, or nothing if it has no room.
func barOf(s segment, f figures, room int) string {
	if s.kind == showBar {
		return bar(f, room)
	}
	n, known := f.percent()
	after := ""
	if known {
		after = fmt.Sprintf(" %2d%%", n)
	}
	within := bar(f, room-len("[]")-len(after))
	if within == "" {
		return cut(strings.TrimSpace(after), room)
	}
	return "[" + within + "]" + after
}

// bar is what is within the brackets: "====>    ", or " <=>     ", which goes to and fro while bytes move.
func bar(f figures, room int) string {
	const swinging = "<=>"
	if room < len(swinging) {
		return ""
	}
	n, known := f.percent()
	if !known {
		at := f.swing
		if at > 100 {
			at = 200 - at
		}
		free := room - len(swinging)
		at = free * at / 100
		return strings.Repeat(" ", at) + swinging + strings.Repeat(" ", free-at)
	}
	filled := max(room*min(n, 100)/100, 1)
	return strings.Repeat("=", filled-1) + ">" + strings.Repeat(" ", room-filled)
}
