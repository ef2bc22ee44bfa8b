package size

import "testing"

func TestSizesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "64KiB": 64 << 10, "64kib": 64 << 10, "10M": 10 << 20, "10m": 10 << 20, "1.5G": 3 << 29,
		"10MB": 10_000_000, "10kB": 10_000, "1 GiB": 1 << 30, "2T": 2 << 40, " 7 ": 7, "12B": 12, "9223372036854775807": 1<<63 - 1,
	} {
		if n, err := Parse(text); n != want || err != nil {
			t.Errorf("%q is %d and not %d, %v", text, n, want, err)
		}
	}
	for _, text := range []string{"", "M", "many", "-1", "10X", "9223372036854775808", "16E", "1M1", "0x10"} {
		if n, err := Parse(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}
