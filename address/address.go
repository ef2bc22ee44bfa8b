// Package address reads where streams come from and go to, written as people write them.
package address

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// Scheme says how an address is opened.
type Scheme string

// TCPListen accepts connections: tcp-listen://HOST:PORT. An empty HOST is every interface.
const TCPListen Scheme = "tcp-listen"

// Address is one parsed address.
type Address struct {
	Scheme   Scheme
	HostPort string // as net.Listen takes it
}

// String writes the address as it is read.
func (a Address) String() string { return string(a.Scheme) + "://" + a.HostPort }

// Error says which part of which address is wrong.
type Error struct {
	Address string
	Err     error
}

func (e *Error) Error() string { return fmt.Sprintf("address %q: %v", e.Address, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Parse reads an address. Its error is an *Error.
func Parse(s string) (Address, error) {
	a, err := parse(s)
	if err != nil {
		return Address{}, &Error{s, err}
	}
	return a, nil
}

func parse(s string) (Address, error) {
	u, err := url.Parse(s)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return Address{}, err
	}
	switch {
	case u.Scheme == "":
		return Address{}, errors.New("no scheme: want tcp-listen://HOST:PORT")
	case Scheme(u.Scheme) != TCPListen:
		return Address{}, fmt.Errorf("scheme %q: want %s", u.Scheme, TCPListen)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return Address{}, errors.New("want nothing but HOST:PORT behind tcp-listen://")
	}
	if err := checkHostPort(u.Host); err != nil {
		return Address{}, err
	}
	return Address{TCPListen, u.Host}, nil
}

// CheckHostPort tells what is wrong with HOST:PORT, without looking anything up.
func CheckHostPort(s string) error {
	if err := checkHostPort(s); err != nil {
		return &Error{s, err}
	}
	return nil
}

func checkHostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			return errors.New(ae.Err)
		}
		return err
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("port %q: want 0 to 65535", port)
	}
	return nil
}
