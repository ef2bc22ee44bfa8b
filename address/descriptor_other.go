//go:build !unix

package address

import "os"

// usable leaves it to reading and writing to find out.
func usable(*os.File, bool) error { return nil }

// shutdownWrite knows of no sockets among files here.
func shutdownWrite(*os.File) bool { return false }
