package address

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Parse reads an address. It looks nothing up and opens nothing. Its error is an *Error.
func Parse(s string) (Address, error) {
	a, part, err := parse(s)
	if err != nil {
		return Address{}, &Error{s, part, err}
	}
	return a, nil
}

// parse returns what is wrong, and with which part.
func parse(s string) (a Address, part string, err error) {
	if s == "" {
		return a, "", errors.New("is empty: want a path, HOST:PORT, or one of " + known())
	}
	if strings.ContainsRune(s, 0) {
		return a, "", errors.New("has a zero byte")
	}
	if k, opts, rest := cut(s); k != nil {
		a.Scheme = k.scheme
		if opts != "" {
			if part, err := a.takeOptions(k, opts); err != nil {
				return a, part, err
			}
		}
		if len(opts) > 0 || k.form == command {
			part, err = a.take(k, rest, false)
		} else {
			part, err = a.take(k, rest, true)
		}
		return a, part, err
	}
	return plain(s)
}

// known lists the schemes for people.
func known() string {
	var b strings.Builder
	for i, k := range kinds {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(k.prefix())
	}
	return b.String()
}

// prefix is what an address of the kind begins with.
func (k *kind) prefix() string {
	switch k.form {
	case hostPort, webURL:
		return string(k.scheme) + "://"
	default:
		if k.scheme == Stdio {
			return "-"
		}
		return string(k.scheme) + ":"
	}
}

// cut takes off the scheme, and the options that stand before its colon, with their question mark. The kind is nil if
// the address is written without a scheme that there is.
func cut(s string) (k *kind, opts, rest string) {
	if rest, ok := strings.CutPrefix(s, "-"); ok && (rest == "" || rest[0] == '?') {
		return kindOf(Stdio), "", rest
	}
	for i := range kinds {
		k := &kinds[i]
		rest, ok := strings.CutPrefix(s, string(k.scheme))
		if !ok || k.scheme == Stdio {
			continue
		}
		mark := strings.TrimPrefix(k.prefix(), string(k.scheme))
		if after, ok := strings.CutPrefix(rest, mark); ok {
			return k, "", after
		}
		if k.form != command && k.form != webURL || !strings.HasPrefix(rest, "?") {
			continue
		}
		if before, after, ok := strings.Cut(rest, mark); ok {
			return k, before, after
		}
	}
	return nil, "", ""
}

// take takes what stands behind the scheme, and the options behind that if there may be any.
func (a *Address) take(k *kind, rest string, queried bool) (part string, err error) {
	if k.form == webURL {
		return a.takeURL(k, rest, queried)
	}
	if queried {
		before, query, ok := strings.Cut(rest, "?")
		if ok {
			if part, err := a.takeOptions(k, "?"+query); err != nil {
				return part, err
			}
		}
		rest = before
	}
	switch k.form {
	case nothing:
		if rest != "" {
			return strconv.Quote(rest), fmt.Errorf("want nothing behind %s", k.prefix())
		}
	case number:
		n, err := strconv.ParseInt(rest, 10, 32)
		if err != nil || n < 0 {
			return "descriptor " + strconv.Quote(rest), errors.New("want a number such as 3")
		}
		a.FD = int(n)
	case path:
		if strings.HasPrefix(rest, "///") {
			rest = rest[2:] // as in a URL without a host
		}
		a.Path, err = url.PathUnescape(rest)
		if err != nil {
			return "path " + strconv.Quote(rest), errBadPercent
		}
		if a.Path == "" || a.Path == "@" || strings.ContainsRune(a.Path, 0) {
			return "path " + strconv.Quote(a.Path), errors.New("want a path")
		}
	case hostPort:
		a.HostPort = rest
		_, part, err := splitHostPort(rest)
		return part, err
	case command:
		a.Command = rest
		if strings.TrimSpace(rest) == "" {
			return "", errors.New("want a command")
		}
	}
	return "", nil
}

var errBadPercent = errors.New("% is not followed by two hexadecimal digits; % itself is %25")

// takeURL takes the options out of the query, if they are to be there.
func (a *Address) takeURL(k *kind, rest string, queried bool) (part string, err error) {
	if queried {
		before, query, _ := strings.Cut(rest, "?")
		query, fragment, isFragment := strings.Cut(query, "#")
		var ours, theirs []string
		for _, p := range strings.Split(query, "&") {
			name, _, _ := strings.Cut(p, "=")
			if slices.Contains(k.options, name) {
				ours = append(ours, p)
			} else {
				theirs = append(theirs, p)
			}
		}
		if len(ours) > 0 {
			if part, err := a.takeOptions(k, "?"+strings.Join(ours, "&")); err != nil {
				return part, err
			}
			rest = before
			if len(theirs) > 0 {
				rest += "?" + strings.Join(theirs, "&")
			}
			if isFragment {
				rest += "#" + fragment
			}
		}
	}
	a.URL = k.prefix() + rest
	u, err := url.Parse(a.URL)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return "", err
	}
	if u.Hostname() == "" {
		return "host", errors.New("want one, as in " + k.prefix() + "HOST/PATH")
	}
	if p := u.Port(); p != "" {
		return checkPort(p)
	}
	return "", nil
}

// takeOptions takes "?name=value&name", percent-encoded; "?" alone is none.
func (a *Address) takeOptions(k *kind, query string) (part string, err error) {
	if query = query[1:]; query == "" {
		return "", nil
	}
	var seen []string
	for _, p := range strings.Split(query, "&") {
		name, text, ok := strings.Cut(p, "=")
		part := "option " + strconv.Quote(name)
		if !slices.Contains(k.options, name) {
			if len(k.options) == 0 {
				return part, fmt.Errorf("%s has none", k.prefix())
			}
			return part, fmt.Errorf("want one of %s", strings.Join(k.options, ", "))
		}
		if slices.Contains(seen, name) && name != "header" {
			return part, errors.New("stands there twice")
		}
		seen = append(seen, name)
		value, err := url.PathUnescape(text)
		if err == nil {
			err = optionNamed(name).set(&a.Options, value, !ok)
		} else {
			err = errBadPercent
		}
		if err != nil {
			if value != "" {
				part += " " + strconv.Quote(value)
			}
			return part, err
		}
	}
	return "", nil
}

// plain reads what has no scheme that there is: a path, or HOST:PORT.
func plain(s string) (a Address, part string, err error) {
	scheme, rest, colon := strings.Cut(s, ":")
	switch {
	case !colon, runtime.GOOS == "windows" && len(scheme) == 1:
		return Address{Scheme: File, Path: s}, "", nil
	case kindOf(Scheme(scheme)) != nil:
		return a, "scheme " + strconv.Quote(scheme), errors.New("want " + kindOf(Scheme(scheme)).prefix() + " in front")
	case isSchemeName(scheme) && strings.HasPrefix(rest, "//"):
		return a, "scheme " + strconv.Quote(scheme), errors.New("want one of " + known())
	}
	at, query, queried := strings.Cut(s, "?")
	if strings.Contains(at, "/") {
		return Address{Scheme: File, Path: s}, "", nil
	}
	if _, port, err := net.SplitHostPort(at); err == nil && !numeric(port) && isSchemeName(scheme) {
		err := fmt.Errorf("want one of %s; a file of this name is ./%s", known(), s)
		return a, "scheme " + strconv.Quote(scheme), err
	}
	k := kindOf(TCP)
	a.Scheme = TCP
	if part, err = a.take(k, at, false); err == nil && queried {
		part, err = a.takeOptions(k, "?"+query)
	}
	return a, part, err
}

// isSchemeName tells what may be a scheme. (RFC 3986, 3.1)
func isSchemeName(s string) bool {
	for i, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		case i > 0 && ('0' <= r && r <= '9' || r == '+' || r == '-' || r == '.'):
		default:
			return false
		}
	}
	return s != ""
}

func numeric(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// CheckHostPort tells what is wrong with HOST:PORT, without looking anything up.
func CheckHostPort(s string) error {
	if _, part, err := splitHostPort(s); err != nil {
		return &Error{s, part, err}
	}
	return nil
}

// splitHostPort returns the host, or what is wrong with which part.
func splitHostPort(s string) (host, part string, err error) {
	if at, rest, ok := strings.Cut(s, "/"); ok {
		if _, _, err := net.SplitHostPort(at); err == nil {
			return "", "path " + strconv.Quote("/"+rest), errors.New("want nothing behind HOST:PORT")
		}
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			err = errors.New(ae.Err)
		}
		if strings.Count(s, ":") > 1 && !strings.ContainsAny(s, "[]") {
			err = errors.New("an IPv6 address stands in brackets, as in [::1]:9000")
		}
		return "", "", err
	}
	if strings.ContainsFunc(host, notInHost) {
		return "", "host " + strconv.Quote(host), errors.New("want a name or an address")
	}
	part, err = checkPort(port)
	return host, part, err
}

func notInHost(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\@?#"<>`, r) }

func checkPort(port string) (part string, err error) {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return "port " + strconv.Quote(port), errors.New("want 0 to 65535")
	}
	return "", nil
}
