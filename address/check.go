package address

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Check tells what keeps the address from being a source, a destination or both, without opening it. Its error is an
// *Error.
func (a Address) Check(role Role) error {
	part, err := a.check(role)
	if err != nil {
		return &Error{a.Redacted(), part, err}
	}
	return nil
}

func (a *Address) check(role Role) (part string, err error) {
	k := kindOf(a.Scheme)
	if k == nil {
		return "scheme " + strconv.Quote(string(a.Scheme)), errors.New("want one of " + known())
	}
	if !slices.Contains(k.roles, role) {
		return "", k.cannotBe(role)
	}
	o := &a.Options
	for i := range options {
		opt := &options[i]
		switch {
		case len(opt.get(o)) == 0:
		case !slices.Contains(k.options, opt.name):
			return "option " + strconv.Quote(opt.name), fmt.Errorf("%s has none", k.prefix())
		case opt.roles&role == 0, opt.name == "on-slow" && role != Destination:
			return "option " + strconv.Quote(opt.name), fmt.Errorf("means nothing for a %s", role)
		}
	}
	switch {
	case o.Append && o.Offset > 0:
		return `option "offset"`, errors.New(`does not go with "append"`)
	case a.Scheme == TLSListen && o.Cert == "":
		return `option "cert"`, errors.New(`is needed: a file with a certificate, and its key unless "key" has that`)
	case o.Key != "" && o.Cert == "":
		return `option "key"`, errors.New(`needs "cert"`)
	case o.Insecure && o.CA != "":
		return `option "insecure"`, errors.New(`does not go with "ca"`)
	case a.Scheme == UDP && role == Source && o.Bind == "":
		return `option "bind"`, errors.New("is needed, as nothing is sent that could be answered; udp-listen:// receives")
	}
	return "", nil
}

func (k *kind) cannotBe(role Role) error {
	switch {
	case len(k.roles) == 1 && role == Destination:
		return fmt.Errorf("can only be a source: for a destination there is %s", k.instead)
	case len(k.roles) == 1:
		return errors.New("can only be a source")
	default:
		return errors.New("goes one way: can be a source or a destination, but not both")
	}
}
