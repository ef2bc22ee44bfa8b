package address

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// String writes the address so that Parse reads the same again: a path or HOST:PORT that needs no scheme without one.
func (a Address) String() string {
	k := kindOf(a.Scheme)
	if k == nil {
		return string(a.Scheme) + ":"
	}
	opts := a.writtenOptions(k)
	switch k.form {
	case number:
		return k.prefix() + strconv.Itoa(a.FD) + opts
	case path:
		if a.Scheme == File && opts == "" {
			if b, _, err := parse(a.Path); err == nil && reflect.DeepEqual(a, b) {
				return a.Path
			}
		}
		return k.prefix() + writtenPath(a.Path) + opts
	case hostPort:
		return k.prefix() + a.HostPort + opts
	case command:
		return string(k.scheme) + opts + ":" + a.Command
	case webURL:
		rest := strings.TrimPrefix(a.URL, k.prefix())
		if opts == "" {
			if b, _, err := parse(a.URL); err == nil && reflect.DeepEqual(a, b) {
				return a.URL
			}
			opts = "?" // what looks like an option in the query is none
		}
		return string(k.scheme) + opts + "://" + rest
	default:
		return k.prefix() + opts
	}
}

// writtenPath encodes what would be read as something else.
func writtenPath(path string) string {
	s := strings.ReplaceAll(escape(path), "%2F", "/")
	if strings.HasPrefix(s, "///") {
		s = "%2F" + s[1:]
	}
	return s
}

// escape encodes a value.
func escape(s string) string {
	return strings.NewReplacer("+", "%20", "%40", "@", "%2C", ",").Replace(url.QueryEscape(s))
}

// writtenOptions is the question mark and what stands behind it, or nothing.
func (a *Address) writtenOptions(k *kind) string {
	var all []string
	for i := range options {
		opt := &options[i]
		if !slices.Contains(k.options, opt.name) {
			continue
		}
		for _, v := range opt.get(&a.Options) {
			if v == bareValue {
				all = append(all, opt.name)
			} else {
				all = append(all, opt.name+"="+escape(v))
			}
		}
	}
	if all == nil {
		return ""
	}
	return "?" + strings.Join(all, "&")
}
