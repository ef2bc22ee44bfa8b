// Package size reads sizes as people write them.
package size

import (
	"errors"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
)

// Parse reads a size in bytes: 4096, 64KiB, 64K, 10MB. A letter alone is of 1024, as pv, dd and mbuffer have it; with a B it
// is of 1000, and with iB of 1024, as the units are defined. Its error says what is wanted.
func Parse(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if last := len(text) - 1; last > 0 && strings.ContainsRune("kKmMgGtTpP", rune(text[last])) {
		text += "iB"
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return 0, errors.New("want a size such as 64MiB")
	}
	return int64(n), nil
}
