//go:build !unix

package main

import "context"

// whenAsked does nothing: no signal asks for the progress here.
func (j *copyJob) whenAsked(_, _ func()) (stop func()) { return func() {} }

// untilHangup is the context itself: there are no sessions here that end by a signal.
func untilHangup(ctx context.Context) (context.Context, func()) { return ctx, func() {} }
