//go:build race

package penstock

import "bytes"

var poisoned = bytes.Repeat([]byte{0xDB}, MaxPageSize)

// poison overwrites a page that nobody holds any more, so that a reader who still does sees it at once.
func poison(b []byte) { copy(b, poisoned) }
