// Package shortage tells errors that say nothing of what was asked for, but that the process or the system has not
// enough of something at the moment: it may have again as soon as somebody closes something.
package shortage

import (
	"errors"
	"syscall"
)

// Is tells whether an error is for want of descriptors or of memory.
func Is(err error) bool {
	for _, lack := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}
