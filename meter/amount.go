package meter

import (
	"fmt"
	"strings"
	"time"
)

// amount writes bytes as pv does, in four figures at most and always seven columns: "1.25GiB", " 100MiB", "1000  B".
// Nothing but what is a hundred or more is rounded down; the rest is to the nearest.
func amount(n float64) string {
	n = max(n, 0)
	prefix := 0
	const prefixes = " KMGTPEZY"
	for n >= 1024 && prefix < len(prefixes)-1 {
		n /= 1024
		prefix++
	}
	i := " "
	if prefix > 0 {
		i = "i"
	}
	digits := ""
	switch {
	case n > 99.9:
		digits = fmt.Sprintf("%4d", int64(n))
	case n >= 9.995:
		digits = fmt.Sprintf("%.1f", n)
	default:
		digits = fmt.Sprintf("%.2f", n)
	}
	return digits + prefixes[prefix:prefix+1] + i + "B"
}

// clock writes a time as pv does: "0:00:13", and with days "2:03:00:13".
func clock(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	if s >= 24*3600 {
		return fmt.Sprintf("%d:%02d:%02d:%02d", s/(24*3600), s/3600%24, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// brief writes how long something has lasted, to the second: "3s", "2m5s", "1h2m".
func brief(d time.Duration) string {
	if d >= time.Hour {
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return d.Truncate(time.Second).String()
}
