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

// bound is a size, or 0 for none.
type bound int64

func (b *bound) Set(text string) error {
	if n, err := humanize.ParseBytes(text); err == nil && n == 0 {
		*b = 0
		return nil
	}
	return (*size)(b).Set(text)
}

func (b *bound) Type() string { return "SIZE" }
func (b *bound) String() string {
	if *b == 0 {
		return "0"
	}
	return (*size)(b).String()
}

func (s *size) String() string { return humanize.IBytes(uint64(*s)) }
func (s *size) Type() string   { return "SIZE" }
