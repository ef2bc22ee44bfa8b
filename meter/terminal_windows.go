package meter

import (
	"os"

	"golang.org/x/sys/windows"
)

// console is the screen of a file that is one.
type console struct{ handle windows.Handle }

// TerminalOf returns the console that a file is, made to understand escape sequences, or nil if it is none that does.
func TerminalOf(f *os.File) Screen {
	handle := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(handle, &mode) != nil ||
		windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) != nil {
		return nil
	}
	return &console{handle}
}

func (c *console) Size() (columns, rows int) {
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(c.handle, &info) != nil {
		return 0, 0
	}
	return int(info.Window.Right-info.Window.Left) + 1, int(info.Window.Bottom-info.Window.Top) + 1
}

// Foreground is true: there is no such thing as a background here.
func (c *console) Foreground() bool { return true }
