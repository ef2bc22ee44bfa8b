package main

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/penstock-io/penstock/address"
)

// Copies for connections: one after another with ?accept, at once with ?fork.

// each makes one copy, or one for each connection of the address that is good for several, and returns the status of the
// first that failed.
func (j *copyJob) each(ctx context.Context, one func(context.Context, ends) int) int {
	l, place, err := j.listen(ctx)
	if err != nil {
		return j.cannotOpen(ctx, place, err)
	}
	if l == nil {
		return one(ctx, ends{})
	}
	defer l.Close()
	if place < 0 && !j.source.Options.Fork && !j.both {
		end, err := l.Accept(ctx)
		if err != nil {
			return j.cannotOpen(ctx, place, err)
		}
		return one(ctx, ends{source: end, next: l.Accept}) // all go to the same destinations
	}
	return j.eachConnection(ctx, l, place, one)
}

// listen opens the address that is good for several connections: the source has place -1. There may be none.
func (j *copyJob) listen(ctx context.Context) (*address.Listener, int, error) {
	c := j.config()
	if repeats(j.source) {
		l, err := j.source.Listen(ctx, j.role(address.Source), c)
		return l, -1, err
	}
	for i, a := range j.destinations {
		if repeats(a) {
			l, err := a.Listen(ctx, j.role(address.Destination), c)
			return l, i, err
		}
	}
	return nil, 0, nil
}

// cannotOpen says why there is no connection, and returns the status.
func (j *copyJob) cannotOpen(ctx context.Context, place int, err error) int {
	if ctx.Err() != nil {
		return j.stopped(ctx)
	}
	if place < 0 {
		j.say("source %s: %s", j.source.Redacted(), withoutAddress(err))
		return exitSource
	}
	j.say("destination %s: %s", j.destinations[place].Redacted(), withoutAddress(err))
	return exitDestinations
}

// eachConnection makes a copy for each connection.
func (j *copyJob) eachConnection(ctx context.Context, l *address.Listener, place int, one func(context.Context, ends) int) int {
	var all sync.WaitGroup
	var mu sync.Mutex
	status := 0
	for {
		end, err := l.Accept(ctx)
		if err != nil {
			all.Wait()
			if err != io.EOF && (status == 0 || ctx.Err() == nil) {
				status = j.cannotOpen(ctx, place, err)
			}
			return status
		}
		given := ends{source: end}
		fork := j.source.Options.Fork
		if place >= 0 {
			given, fork = ends{destination: end, place: place}, j.destinations[place].Options.Fork
		}
		serve := func() {
			began := time.Now()
			s := one(ctx, given)
			mu.Lock()
			defer mu.Unlock()
			if status == 0 {
				status = s
			}
			if fork && !j.show.quiet {
				j.say("connection from %s: status %d after %v", end.Peer, s, time.Since(began).Round(time.Millisecond))
			}
		}
		if fork {
			all.Go(serve)
		} else {
			serve()
		}
	}
}
