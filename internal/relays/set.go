package relays

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/relay"
)

// Set is the relays of a process while they run. Make one with NewSet, give it a Config by Apply, and end it by
// Shutdown. All methods may be called from any goroutine.
type Set struct {
	log    *slog.Logger
	access *accessLog
	web    *web

	changing sync.Mutex     // held while a Config is applied, which waits for listeners to be opened
	serving  sync.WaitGroup // what accepts: when it is over, its address is free, and a socket's file is gone

	mu       sync.Mutex // guards what follows
	running  map[string]*running
	drain    time.Duration
	draining bool
	changes  changes
}

// changes are what is told of Configs that came while the relays were running.
type changes struct {
	failed error     // of the last one; nil is well
	at     time.Time // of the last that was well
}

// running is one relay, known by its place. It outlives what is said of it in the Config while it has connections.
type running struct {
	relay  *relay.Relay
	spec   Relay
	opened address.Address // that it listens at, as it was when that was opened
	addr   net.Addr        // where that is
	stop   context.CancelFunc
	over   chan struct{} // closed when it accepts no more, and its address is free
	gone   time.Time     // since when the Config has it no more; zero while it has
	failed error         // why it accepts no more, although it should; nil is well
}

// NewSet returns a Set without relays. The output is what the access log calls "-".
func NewSet(log *slog.Logger, output Output) *Set {
	s := &Set{log: log, access: newAccessLog(log, output), running: make(map[string]*running)}
	s.web = newWeb(s)
	return s
}

// Apply makes the relays those of the Config, or changes nothing and returns why. Connections go on: those of a relay
// that listens where it did, whatever else is said of it now, and those of one that is to be no more, to their end.
func (s *Set) Apply(ctx context.Context, c Config) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.apply(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes.failed = err; err == nil {
		s.changes.at = time.Now()
	}
	return err
}

func (s *Set) apply(ctx context.Context, c Config) error {
	if s.isDraining() {
		return errors.New("the relays are being shut down")
	}
	opened, err := s.open(ctx, c)
	if err != nil {
		return err
	}
	s.web.serve(opened.http, c.HTTP)
	s.access.use(opened.access, c.Access)
	gone, err := s.take(c, opened)
	for _, one := range gone {
		<-one.over // whoever is told that this is done may listen there
	}
	return err
}

// take makes the relays those of the Config, and returns those that are to be no more.
func (s *Set) take(c Config, opened opened) (gone []*running, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drain = c.Drain
	wanted := make(map[string]bool)
	var errs []error
	for i, r := range c.Relays {
		key := r.key(i)
		wanted[key] = true
		r.Config.Log, r.Config.Access = s.log, s.access.add
		if err := s.setLocked(key, r, opened.listeners[key]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Config.Name, err))
		}
	}
	for key, one := range s.running {
		if !wanted[key] && one.gone.IsZero() {
			one.stop()
			one.gone = time.Now()
			gone = append(gone, one)
			s.log.Info("accepts no more", "relay", one.spec.Config.Name, "address", one.addr.String())
		}
	}
	return gone, errors.Join(errs...)
}

// key is what a relay is known by; n is for those at which the system chooses a port.
func (r *Relay) key(n int) string {
	if anyPort(r.place()) {
		return fmt.Sprintf("%s #%d", r.place(), n)
	}
	return r.place()
}

// listens tells whether there is a listener that a relay of this key can have.
func (s *Set) listens(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.running[key]
	return one != nil && one.gone.IsZero() && one.failed == nil
}

// setLocked makes a relay, or changes the one that there is. The listener is for one that has none.
func (s *Set) setLocked(key string, r Relay, l net.Listener) (err error) {
	one := s.running[key]
	if one == nil {
		made, err := relay.New(r.Config)
		if err != nil {
			return errors.Join(err, closed(l))
		}
		one = &running{relay: made}
		s.running[key] = one
	} else if err := one.relay.Update(r.Config); err != nil {
		return errors.Join(err, closed(l))
	}
	one.spec, one.gone = r, time.Time{}
	if l == nil {
		if socketOf(r.Listen) != socketOf(one.opened) {
			s.log.Warn("a listener that is open stays as it was opened: its socket's options are changed by a restart",
				"relay", r.Config.Name, "listen", r.Listen.String(), "opened", one.opened.String())
		}
		return nil
	}
	s.beginLocked(one, l)
	var targets []string
	for _, t := range r.Config.Targets {
		targets = append(targets, t.String())
	}
	s.log.Info("relaying", "relay", r.Config.Name, "address", l.Addr().String(), "targets", targets)
	return nil
}

// beginLocked accepts what comes to the listener, which is opened as the relay has it.
func (s *Set) beginLocked(one *running, l net.Listener) {
	one.opened, one.addr, one.failed = one.spec.Listen, l.Addr(), nil
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	one.stop, one.over = stop, over
	s.serving.Go(func() {
		defer close(over)
		s.serve(ctx, one, l)
	})
}

func closed(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// serve accepts until the relay is stopped.
func (s *Set) serve(ctx context.Context, one *running, l net.Listener) {
	err := one.relay.Serve(ctx, l)
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one.failed = err
	s.log.Error("cannot accept any more", "relay", one.spec.Config.Name, "address", l.Addr().String(), "error", err)
}

// forgetAfter is how long a relay that is to be no more is kept at least: what it had accepted is among its connections
// by then.
const forgetAfter = 2 * time.Second

// Tidy forgets relays that are to be no more, and have neither connections nor mirrors to close. It is to be called now
// and then.
func (s *Set) Tidy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.running {
		if !one.gone.IsZero() && time.Since(one.gone) > forgetAfter && one.relay.Idle() {
			_ = one.relay.Close() // nothing is left that could fail
			delete(s.running, key)
			s.log.Info("the last connection is over", "relay", one.spec.Config.Name)
		}
	}
}

// all returns the relays in the order of their names.
func (s *Set) all() []running {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []running
	for _, one := range s.running {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b running) int {
		return cmp.Or(cmp.Compare(a.spec.Config.Name, b.spec.Config.Name), cmp.Compare(a.spec.place(), b.spec.place()))
	})
	return all
}

// kill ends a connection, and tells whether there was one.
func (s *Set) kill(id uint64) bool {
	return slices.ContainsFunc(s.all(), func(one running) bool { return one.relay.Kill(id) })
}

func (s *Set) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// drained is how many connections were ended by a shutdown, as they say themselves.
func (s *Set) drained() (n int) {
	for _, one := range s.all() {
		for how, many := range one.relay.Stats().Ends {
			if strings.HasPrefix(how, "D") {
				n += int(many)
			}
		}
	}
	return n
}

// Shutdown accepts no more, and waits until the connections are over, for the Config's Drain at most: those that are
// left it ends. Then it ends the rest: what HTTP tells, and the access log. It returns how many connections it has cut.
func (s *Set) Shutdown() (cut int) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	again := s.draining
	s.draining = true
	drain := s.drain
	s.mu.Unlock()
	if again {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	s.log.Info("shutting down", "drain", drain, "connections", s.count())
	var relays sync.WaitGroup
	for _, one := range s.all() {
		relays.Go(func() { _ = one.relay.Shutdown(ctx) }) // its error is that of ctx
	}
	over := make(chan struct{})
	go func() {
		relays.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done():
		<-over
		if cut = s.drained(); cut > 0 {
			s.log.Warn("connections are ended at the end of the drain", "connections", cut)
		}
	}
	s.serving.Wait()
	s.web.close()
	s.access.close()
	return cut
}
