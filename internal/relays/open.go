package relays

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
)

// opened is what a Config needs that is not there yet.
type opened struct {
	listeners map[string]net.Listener
	http      net.Listener
	access    Output
}

// close gives up again what was opened.
func (o *opened) close(standard Output) {
	for _, l := range o.listeners {
		l.Close()
	}
	if o.http != nil {
		o.http.Close()
	}
	if f, is := o.access.(*os.File); is && o.access != standard {
		f.Close()
	}
}

// wanted is a listener that a Config needs.
type wanted struct {
	place string
	open  func() error
}

// open opens everything that a Config needs besides what there is, or nothing.
//
// A port that is listened at by another address than before, such as all of them in place of 127.0.0.1, is in use until
// that has been given up: which is done when there is nothing else that could be wrong, and undone if it did not help.
func (s *Set) open(ctx context.Context, c Config) (o opened, err error) {
	var left vacated
	defer func() {
		if err != nil {
			o.close(s.access.standard)
			s.resume(ctx, left)
		}
	}()
	var errs, ofUse []error
	var inUse []wanted
	for _, w := range s.wanted(ctx, c, &o) {
		err := w.open()
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			inUse, ofUse = append(inUse, w), append(ofUse, err)
		case err != nil:
			errs = append(errs, err)
		}
	}
	if o.access, err = s.access.open(c.Access); err != nil {
		errs = append(errs, fmt.Errorf("access-log: %w", err))
	}
	if len(errs) > 0 {
		return o, errors.Join(append(ofUse, errs...)...)
	}
	left = s.leave(c, inUse)
	for _, w := range inUse {
		errs = append(errs, w.open())
	}
	return o, errors.Join(errs...)
}

// wanted are the listeners that are to be opened.
func (s *Set) wanted(ctx context.Context, c Config, o *opened) (all []wanted) {
	o.listeners = make(map[string]net.Listener)
	for i := range c.Relays {
		r := &c.Relays[i]
		key := r.key(i)
		if s.listens(key) {
			continue
		}
		all = append(all, wanted{r.place(), func() error {
			l, err := r.listen(ctx)
			if err == nil {
				o.listeners[key] = l
			}
			return err
		}})
	}
	if c.HTTP != "" && !s.web.serves(c.HTTP) {
		all = append(all, wanted{c.HTTP, func() (err error) {
			l, err := net.Listen("tcp", c.HTTP)
			if err != nil {
				return fmt.Errorf("http: %w", err)
			}
			o.http = l
			return nil
		}})
	}
	return all
}

// vacated is what has ceased to listen, for something else to listen at its port.
type vacated struct {
	relays []*running
	http   string
}

// leave ceases to listen at the ports of what is wanted, with what the Config does not have any more.
func (s *Set) leave(c Config, inUse []wanted) (l vacated) {
	if len(inUse) == 0 {
		return l
	}
	inTheWay := func(place string) bool {
		return slices.ContainsFunc(inUse, func(w wanted) bool { return samePort(w.place, place) })
	}
	kept := make(map[string]bool)
	for i := range c.Relays {
		kept[c.Relays[i].key(i)] = true
	}
	s.mu.Lock()
	for key, one := range s.running {
		if !kept[key] && one.gone.IsZero() && one.failed == nil && inTheWay(one.addr.String()) {
			one.stop()
			l.relays = append(l.relays, one)
		}
	}
	s.mu.Unlock()
	for _, one := range l.relays {
		<-one.over
	}
	if at := s.web.place(); at != "" && at != c.HTTP && inTheWay(at) {
		l.http = at
		s.web.serve(nil, "")
	}
	return l
}

// samePort tells whether two addresses have one, of TCP.
func samePort(a, b string) bool {
	_, p, err := net.SplitHostPort(a)
	_, q, err2 := net.SplitHostPort(b)
	return err == nil && err2 == nil && p == q
}

// resume listens again where that was left.
func (s *Set) resume(ctx context.Context, left vacated) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range left.relays {
		l, err := one.spec.listen(ctx)
		if err != nil {
			one.failed = err
			s.log.Error("cannot accept any more", "relay", one.spec.Config.Name, "error", err)
			continue
		}
		s.beginLocked(one, l)
	}
	if left.http == "" {
		return
	}
	l, err := net.Listen("tcp", left.http)
	if err != nil {
		s.log.Error("cannot tell of relays any more", "error", err)
		return
	}
	s.web.serve(l, left.http)
}
