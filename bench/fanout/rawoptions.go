package main

import (
	"fmt"
	"strconv"
	"strings"
)

// rawOptions are what follows the slash in "raw/512k/once/ahead=4".
type rawOptions struct {
	chunk int // a pipe size such as 512k or 1m
	ahead int
	once  bool
}

func parseRaw(name string) (o rawOptions, err error) {
	kind, words, found := strings.Cut(name, "/")
	o.chunk, o.ahead = mib, rawAhead
	if !found || kind != "raw" && kind != "rawpoll" {
		return o, fmt.Errorf("unknown kind %q", kind)
	}
	for word := range strings.SplitSeq(words, "/") {
		size, isSize := pipeSize(word)
		ahead, isAhead := strings.CutPrefix(word, "ahead=")
		switch {
		case isSize:
			o.chunk = size
		case isAhead:
			o.ahead, err = strconv.Atoi(ahead)
		case word == "once":
			o.once = true
		default:
			err = fmt.Errorf("unknown option")
		}
		if err != nil {
			return o, fmt.Errorf("%s: %q: %w", name, word, err)
		}
	}
	return o, nil
}

func pipeSize(word string) (int, bool) {
	for unit, size := range map[string]int{"k": kib, "m": mib} {
		if digits, ok := strings.CutSuffix(word, unit); ok {
			n, err := strconv.Atoi(digits)
			return n * size, err == nil && n > 0
		}
	}
	return 0, false
}
