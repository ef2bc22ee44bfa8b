package meter

import (
	"fmt"
	"strings"
	"testing"
)

// fakeScreen is a terminal: it holds what a user would see, and all that has scrolled out at its top. Like most it
// keeps the cursor on the last column when that has been written, until the next character.
type fakeScreen struct {
	t             *testing.T
	columns, rows int
	background    bool
	scrolled      []string
	cells         [][]rune
	x, y          int
	full          bool // the last column has been written
	raw           bool // a line feed does not return the carriage
}

var _ Screen = (*fakeScreen)(nil)

func newFakeScreen(t *testing.T, columns, rows int) *fakeScreen {
	s := &fakeScreen{t: t, columns: columns, rows: rows}
	for range rows {
		s.cells = append(s.cells, nil)
	}
	return s
}

func (s *fakeScreen) Size() (int, int) { return s.columns, s.rows }
func (s *fakeScreen) Foreground() bool { return !s.background }

func (s *fakeScreen) Write(b []byte) (int, error) {
	for rest := string(b); rest != ""; {
		if csi, ok := strings.CutPrefix(rest, "\x1b["); ok {
			n, verb := 1, ' '
			if _, err := fmt.Sscanf(csi, "%d%c", &n, &verb); err != nil {
				verb = rune(csi[0])
			}
			switch verb {
			case 'A':
				s.y, s.full = max(s.y-n, 0), false
			case 'K': // on a full line this erases its last character
				s.eraseLine()
			case 'J':
				s.eraseLine()
				for y := s.y + 1; y < s.rows; y++ {
					s.cells[y] = nil
				}
			default:
				s.t.Fatalf("unknown sequence %q", rest)
			}
			rest = csi[strings.IndexRune(csi, verb)+1:]
			continue
		}
		r := []rune(rest)[0]
		rest = rest[len(string(r)):]
		switch {
		case r == '\r':
			s.x, s.full = 0, false
		case r == '\n':
			s.down()
		case r < ' ':
			s.t.Fatalf("a control character %q reaches the terminal", r)
		default:
			s.put(r)
		}
	}
	return len(b), nil
}

func (s *fakeScreen) eraseLine() {
	if s.x < len(s.cells[s.y]) {
		s.cells[s.y] = s.cells[s.y][:s.x]
	}
}

func (s *fakeScreen) down() {
	s.full = false
	if !s.raw {
		s.x = 0
	}
	if s.y++; s.y == s.rows {
		s.y--
		s.scrolled = append(s.scrolled, string(s.cells[0]))
		s.cells = append(s.cells[1:], nil)
	}
}

func (s *fakeScreen) put(r rune) {
	if s.full {
		s.x = 0
		s.down()
	}
	line := s.cells[s.y]
	for len(line) <= s.x {
		line = append(line, ' ')
	}
	line[s.x] = r
	s.cells[s.y] = line
	if s.x++; s.x == s.columns {
		s.x--
		s.full = true
	}
}

// shows fails unless all that has been written looks like this.
func (s *fakeScreen) shows(want ...string) {
	s.t.Helper()
	got := append([]string{}, s.scrolled...)
	for _, line := range s.cells {
		got = append(got, strings.TrimRight(string(line), " "))
	}
	for len(got) > 0 && got[len(got)-1] == "" {
		got = got[:len(got)-1]
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		s.t.Errorf("the terminal shows\n%s\nand not\n%s", g, w)
	}
}
