package main

import (
	"context"
	"io"

	"github.com/penstock-io/penstock/internal/relays"
)

// relaysBeside are the relays of serve's --relay-config.
type relaysBeside struct {
	set    *relays.Set
	source relays.Source
}

// relaysBeside reads --relay-config, and has the server tell of it; nil without one. It says what is wrong with the file.
func (f *serveFlags) relaysBeside(ctx context.Context, stdout, stderr io.Writer) (*relaysBeside, error) {
	if f.relays == "" {
		return nil, nil
	}
	load := func() (relays.Config, error) { return relays.ReadFile(f.relays) }
	b := &relaysBeside{
		set:    relays.NewSet(f.config.Log, stdout),
		source: relays.Source{Load: load, File: f.relays},
	}
	switch _, err := b.source.Begin(ctx); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, sayEach(stderr, err)
	}
	f.config.Beside = b.set.View()
	return b, nil
}

// begin relays until ctx is done, or stop is called, which waits until all is over: connections have the file's drain.
func (b *relaysBeside) begin(ctx context.Context) (stop func(), err error) {
	again, ignore := hangups()
	b.source.Again = again
	if err := b.set.Begin(ctx, &b.source); err != nil {
		ignore()
		b.set.Shutdown()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		b.set.Follow(ctx, &b.source)
	}()
	return func() {
		cancel()
		<-over
		ignore()
	}, nil
}
