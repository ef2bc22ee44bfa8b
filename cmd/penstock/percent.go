package main

import (
	"fmt"
	"strconv"
	"strings"
)

// percent is a flag from 0 to 100, with or without its sign.
type percent int

func (p *percent) Set(text string) error {
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || n < 0 || n > 100 {
		return fmt.Errorf("want 0 to 100")
	}
	*p = percent(n)
	return nil
}

func (p *percent) String() string { return strconv.Itoa(int(*p)) }
func (p *percent) Type() string   { return "PERCENT" }

// of returns so many hundredths of n.
func (p percent) of(n int64) int64 { return n / 100 * int64(p) }
