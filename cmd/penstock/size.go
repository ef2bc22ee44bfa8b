package main

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// size is a flag in bytes, written as people do: 64MiB, 10MB, 4096.
type size int64

func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("want a size such as 64MiB")
	}
	if n == 0 {
		return fmt.Errorf("want more than nothing")
	}
	*s = size(n)
	return nil
}

func (s *size) String() string { return humanize.IBytes(uint64(*s)) }
func (s *size) Type() string   { return "SIZE" }
