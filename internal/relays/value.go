package relays

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/internal/size"
)

// Value is what somebody has written for a setting, and where.
type Value struct {
	at   position
	name string // of the setting, as it is written there: idle-timeout, --idle-timeout
	text string

	general bool // it is of all relays, where they say nothing themselves
}

// position is a place in a file; the zero one is a command line.
type position struct {
	file         string
	line, column int
}

// Error is one thing that is wrong with what somebody has written.
type Error struct {
	at   position
	text string
}

// Error reads relay.yaml:7:17: idle-timeout "5": want a duration such as 30s, 1h30m or 2d.
func (e *Error) Error() string {
	if e.at == (position{}) {
		return e.text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.at.file, e.at.line, e.at.column, e.text)
}

// wrong says what is wrong with a value.
func (v Value) wrong(err error) *Error {
	if errors.As(err, new(*address.Error)) { // which has the text
		return &Error{v.at, fmt.Sprintf("%s: %v", v.name, err)}
	}
	return &Error{v.at, fmt.Sprintf("%s %q: %v", v.name, v.text, err)}
}

// parseDuration reads 1.5s, 2h30m, as package time has them, and 7d, 1w, as Prometheus does.
func parseDuration(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	d, err := time.ParseDuration(text)
	if err != nil {
		var days model.Duration
		if days, err = model.ParseDuration(text); err == nil {
			d = time.Duration(days)
		}
	}
	if err != nil || d < 0 {
		return 0, errors.New("want a duration such as 30s, 1h30m or 2d")
	}
	return d, nil
}

// parseTimeout reads a duration that cannot be nothing.
func parseTimeout(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("want more than nothing")
	}
	return d, err
}

// parseRate reads a size per second, with or without saying so.
func parseRate(text string) (int64, error) {
	return size.Parse(strings.TrimSuffix(strings.TrimSpace(text), "/s"))
}

func parseCount(text string) (int, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil || n < 0 {
		return 0, errors.New("want a number, or 0 for no limit")
	}
	return int(n), nil
}

// parsePerSecond reads how often something may be.
func parsePerSecond(text string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), "/s"), 64)
	if err != nil || !(f >= 0 && f <= 1e9) {
		return 0, errors.New("want a number per second, or 0 for no limit")
	}
	return f, nil
}

func parseRatio(text string) (float64, error) {
	text = strings.TrimSpace(text)
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return 0, errors.New("want a part such as 0.1 or 10%")
	}
	return f, nil
}

func parseSwitch(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("want true or false")
}

// parsePrefixes reads CIDR prefixes and addresses, with commas between them.
func parsePrefixes(text string) (all []netip.Prefix, err error) {
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		p, err := netip.ParsePrefix(one)
		if err != nil {
			ip, err := netip.ParseAddr(one)
			if err != nil || ip.Zone() != "" {
				return nil, errors.New("want a prefix such as 10.0.0.0/8 or 2001:db8::/32, or an address")
			}
			p = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())
		}
		if p != p.Masked() {
			return nil, fmt.Errorf("has bits behind its prefix: want %s, or %s alone", p.Masked(), p.Addr())
		}
		all = append(all, p)
	}
	return all, nil
}

// oneOf reads a word.
func oneOf[T any](text string, words map[string]T, want string) (t T, err error) {
	t, ok := words[text]
	if !ok {
		err = errors.New("want " + want)
	}
	return t, err
}
