//go:build !unix && !windows

package meter

import "os"

// TerminalOf returns nil: this system has no way to tell.
func TerminalOf(*os.File) Screen { return nil }
