//go:build !linux

package park

import (
	"context"
	"errors"
	"time"
)

// Events is what of a descriptor is waited for.
type Events int16

// The events.
const (
	Readable Events = 1
	Writable Events = 4
)

// ErrInterrupted is the error of a Wait between Interrupt and Resume.
var ErrInterrupted = errors.New("the wait was interrupted")

// Waiter waits on descriptors, on Linux.
type Waiter struct{}

// Wait fails: this system has no eventfd.
func (*Waiter) Wait(int, Events) error { return errors.ErrUnsupported }

// WaitContext fails: this system has no eventfd.
func (*Waiter) WaitContext(context.Context, int, Events) error { return errors.ErrUnsupported }

// Interrupt does nothing: nobody waits.
func (*Waiter) Interrupt() {}

// Resume does nothing: nobody waits.
func (*Waiter) Resume() {}

// SetDeadline does nothing: nobody waits.
func (*Waiter) SetDeadline(time.Time) {}

// Close does nothing: nobody waits.
func (*Waiter) Close() {}
