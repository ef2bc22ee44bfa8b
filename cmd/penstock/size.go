package main

import (
	"fmt"

	"github.com/dustin/go-humanize"

	sizes "github.com/penstock-io/penstock/internal/size"
)

// size is a flag in bytes, written as people do: 64MiB, 64M, 10MB, 4096.
type size int64

func (s *size) Set(text string) error {
	n, err := sizes.Parse(text)
	if err != nil {
		return err
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
	if n, err := sizes.Parse(text); err == nil && n == 0 {
		*b = 0
		return nil
	}
	return (*size)(b).Set(text)
}

func (b *bound) Type() string   { return "SIZE" }
func (b *bound) String() string { return (*size)(b).String() }

func (s *size) String() string {
	if *s == 0 {
		return "0"
	}
	return humanize.IBytes(uint64(*s))
}
func (s *size) Type() string { return "SIZE" }
