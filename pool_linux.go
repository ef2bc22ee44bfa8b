package penstock

import (
	"os"
	"strconv"
	"strings"
)

// defaultPoolLimit leaves a quarter of an unprivileged user's soft limit to the user's other programs. The kernel's own
// default serves where the limit cannot be read, or is 0, which is none.
func defaultPoolLimit() int {
	const kernelDefault = 16384
	pages := kernelDefault
	if b, err := os.ReadFile("/proc/sys/fs/pipe-user-pages-soft"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && n > 0 {
			pages = n
		}
	}
	return pages * os.Getpagesize() / 4 * 3
}

// warmPool opens what pipes are emptied into, so that a pool's descriptors are its pipes' alone.
func warmPool() { devNull() }
