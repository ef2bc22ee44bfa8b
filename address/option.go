package address

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/internal/size"
)

// option is one that may stand behind the question mark.
type option struct {
	name  string
	roles Role // where it means something
	// set takes what stood behind the equals sign; bare is for when there was none.
	set func(o *Options, value string, bare bool) error
	// get returns what to set to get here: none if it is not set.
	get func(o *Options) []string
}

// options are all there are, in the order in which they are written. Each is in some kinds only.
var options = []option{
	word("on-slow", Destination, func(o *Options) *string { return &o.OnSlow }, onSlow),
	flag("append", Destination, func(o *Options) *bool { return &o.Append }),
	sizeOption("offset", Both, func(o *Options) *int64 { return &o.Offset }),
	flag("direct", Both, func(o *Options) *bool { return &o.Direct }),
	flag("sync", Destination, func(o *Options) *bool { return &o.Sync }),
	flag("excl", Destination, func(o *Options) *bool { return &o.Excl }),
	{
		"mode", Both,
		func(o *Options, v string, _ bool) error {
			n, err := strconv.ParseUint(v, 8, 32)
			if err != nil || n == 0 || n > 0o777 {
				return errors.New("want permissions in octal, such as 0640")
			}
			o.Mode = uint32(n)
			return nil
		},
		func(o *Options) []string { return unless(o.Mode == 0, fmt.Sprintf("%04o", o.Mode)) },
	},
	flag("create", Both, func(o *Options) *bool { return &o.Create }),
	period("timeout", func(o *Options) *time.Duration { return &o.Timeout }),
	period("retry", func(o *Options) *time.Duration { return &o.Retry }),
	word("bind", Both, func(o *Options) *string { return &o.Bind }, bind),
	buffer("sndbuf", func(o *Options) *int64 { return &o.SendBuf }),
	buffer("rcvbuf", func(o *Options) *int64 { return &o.RecvBuf }),
	{
		"nodelay", Both,
		func(o *Options, v string, bare bool) error {
			b, err := boolean(v, bare)
			o.Gather = !b
			return err
		},
		func(o *Options) []string { return unless(!o.Gather, "false") },
	},
	{
		"keepalive", Both,
		func(o *Options, v string, _ bool) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < 0 {
				return errors.New("want a duration such as 30s, or 0 for none")
			}
			if o.KeepAlive = d; d == 0 {
				o.KeepAlive = -1
			}
			return nil
		},
		func(o *Options) []string { return unless(o.KeepAlive == 0, max(o.KeepAlive, 0).String()) },
	},
	{
		"accept", Both,
		func(o *Options, v string, _ bool) error {
			n, err := strconv.ParseInt(v, 10, 32)
			if err != nil || n < 0 {
				return errors.New("want a number of connections, or 0 for no end")
			}
			if o.Accept = int(n); n == 0 {
				o.Accept = -1
			}
			return nil
		},
		func(o *Options) []string { return unless(o.Accept == 0, strconv.Itoa(max(o.Accept, 0))) },
	},
	flag("fork", Both, func(o *Options) *bool { return &o.Fork }),
	flag("reuseport", Both, func(o *Options) *bool { return &o.ReusePort }),
	word("cert", Both, func(o *Options) *string { return &o.Cert }, file),
	word("key", Both, func(o *Options) *string { return &o.Key }, file),
	word("ca", Both, func(o *Options) *string { return &o.CA }, file),
	flag("insecure", Both, func(o *Options) *bool { return &o.Insecure }),
	word("servername", Both, func(o *Options) *string { return &o.ServerName }, name),
	{
		"alpn", Both,
		func(o *Options, v string, _ bool) error {
			o.ALPN = strings.Split(v, ",")
			for _, p := range o.ALPN {
				if p == "" || len(p) > 255 {
					return errors.New("want names of protocols, with commas between them")
				}
			}
			return nil
		},
		func(o *Options) []string { return unless(o.ALPN == nil, strings.Join(o.ALPN, ",")) },
	},
	count("packet", Destination, 65507, func(o *Options) *int { return &o.Packet }),
	count("ttl", Destination, 255, func(o *Options) *int { return &o.TTL }),
	word("interface", Both, func(o *Options) *string { return &o.Interface }, name),
	flag("terminal", Both, func(o *Options) *bool { return &o.Terminal }),
	{
		"header", Both,
		func(o *Options, v string, _ bool) error {
			o.Header = append(o.Header, v)
			return header(v)
		},
		func(o *Options) []string { return o.Header },
	},
}

// optionNamed returns nil if there is none.
func optionNamed(name string) *option {
	for i := range options {
		if options[i].name == name {
			return &options[i]
		}
	}
	return nil
}

func unless(absent bool, value string) []string {
	if absent {
		return nil
	}
	return []string{value}
}

// bareValue is what a flag that is set is written as: its name alone.
const bareValue = ""

func flag(name string, roles Role, at func(*Options) *bool) option {
	return option{
		name, roles,
		func(o *Options, v string, bare bool) (err error) {
			*at(o), err = boolean(v, bare)
			return err
		},
		func(o *Options) []string { return unless(!*at(o), bareValue) },
	}
}

func boolean(v string, bare bool) (bool, error) {
	if bare {
		return true, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, errors.New("want true or false")
	}
	return b, nil
}

func word(name string, roles Role, at func(*Options) *string, check func(string) error) option {
	return option{
		name, roles,
		func(o *Options, v string, _ bool) error {
			*at(o) = v
			return check(v)
		},
		func(o *Options) []string { return unless(*at(o) == "", *at(o)) },
	}
}

func sizeOption(name string, roles Role, at func(*Options) *int64) option {
	return option{
		name, roles,
		func(o *Options, v string, _ bool) error {
			n, err := size.Parse(v)
			if err != nil {
				return err
			}
			*at(o) = n
			return nil
		},
		func(o *Options) []string { return unless(*at(o) == 0, strconv.FormatInt(*at(o), 10)) },
	}
}

// buffer is a size that the system has to be able to take.
func buffer(name string, at func(*Options) *int64) option {
	opt := sizeOption(name, Both, at)
	set := opt.set
	opt.set = func(o *Options, v string, bare bool) error {
		if err := set(o, v, bare); err != nil {
			return err
		}
		if n := *at(o); n == 0 || n > math.MaxInt32 {
			return errors.New("want more than nothing, and less than 2GiB")
		}
		return nil
	}
	return opt
}

func period(name string, at func(*Options) *time.Duration) option {
	return option{
		name, Both,
		func(o *Options, v string, _ bool) error {
			d, err := time.ParseDuration(v)
			if err != nil || d <= 0 {
				return errors.New("want a duration such as 5s")
			}
			*at(o) = d
			return nil
		},
		func(o *Options) []string { return unless(*at(o) == 0, at(o).String()) },
	}
}

func count(name string, roles Role, most int, at func(*Options) *int) option {
	return option{
		name, roles,
		func(o *Options, v string, _ bool) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > most {
				return fmt.Errorf("want 1 to %d", most)
			}
			*at(o) = n
			return nil
		},
		func(o *Options) []string { return unless(*at(o) == 0, strconv.Itoa(*at(o))) },
	}
}

func onSlow(v string) error {
	switch v {
	case "block", "skip", "disconnect":
		return nil
	}
	return errors.New("want block, skip or disconnect")
}

func file(v string) error {
	if v == "" || strings.ContainsRune(v, 0) {
		return errors.New("want a file")
	}
	return nil
}

func name(v string) error {
	if v == "" {
		return errors.New("want a name")
	}
	return nil
}

// bind takes HOST, an IPv6 one with brackets or without, and HOST:PORT.
func bind(v string) error {
	if v == "" {
		return errors.New("want HOST or HOST:PORT")
	}
	_, part, err := splitHostPort(bindHostPort(v))
	if err != nil && part != "" {
		return fmt.Errorf("%s: %w", part, err)
	}
	return err
}

// bindHostPort makes HOST:PORT of what bind takes.
func bindHostPort(v string) string {
	if ip, err := netip.ParseAddr(v); err == nil && ip.Is6() {
		return "[" + v + "]:0"
	}
	if strings.HasSuffix(v, "]") || !strings.Contains(v, ":") {
		return v + ":0"
	}
	return v
}

func header(v string) error {
	name, value, ok := strings.Cut(v, ":")
	if !ok || name == "" || strings.ContainsFunc(name, notInToken) || strings.ContainsAny(value, "\r\n\x00") {
		return errors.New("want Name:Value")
	}
	return nil
}

// notInToken tells what may not be in a header's name. (RFC 9110, 5.6.2)
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}
