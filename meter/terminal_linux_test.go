package meter

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pseudoTerminal returns both sides of a terminal with so many columns and rows: what is written to one is what a
// user would see at the other.
func pseudoTerminal(t *testing.T, columns, rows int) (program, user *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminal here: ", err)
	}
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	resize(t, user, columns, rows)
	return program, user
}

func resize(t *testing.T, f *os.File, columns, rows int) {
	t.Helper()
	size := &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}
	if err := unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
}

// TestARealTerminalIsAskedForItsSizeAtEachDraw and shows what the one in the other tests does.
func TestARealTerminalIsAskedForItsSizeAtEachDraw(t *testing.T) {
	program, user := pseudoTerminal(t, 40, 10)
	screen := TerminalOf(program)
	if screen == nil || !screen.Foreground() {
		t.Fatalf("no terminal, or not ours: %v", screen)
	}
	d, err := New(program, Config{Screen: screen, Parts: Bytes | Bar})
	if err != nil {
		t.Fatal(err)
	}
	d.Show([]State{named("a", 10), named("b", 20)})
	resize(t, user, 60, 10)
	d.Say("wider")
	if err := d.End([]State{named("a", 100), named("b", 20)}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(program, "$"); err != nil {
		t.Fatal(err)
	}
	seen := newFakeScreen(t, 60, 10)
	seen.raw = true // the real one has made its own of each line feed
	var drawn strings.Builder
	for b := make([]byte, 1000); !strings.Contains(drawn.String(), "$"); {
		n, err := user.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		drawn.Write(b[:n])
	}
	fmt.Fprint(seen, &drawn)
	seen.shows("wider",
		"        a:  100MiB [=================================>] 100%",
		"        b: 20.0MiB [======>                            ] 20%",
		"$")
}

func TestWhatIsNoTerminalIsNone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, f := range []*os.File{r, w, null} {
		if s := TerminalOf(f); s != nil {
			t.Errorf("%s: %v", f.Name(), s)
		}
	}
	r.Close()
	if s := TerminalOf(r); s != nil {
		t.Errorf("closed: %v", s)
	}
}
