//go:build !linux

package penstock

import (
	"context"
	"errors"
	"os"
	"time"
)

// KernelPipe is pipe(2) with splice and tee, which only Linux has. Elsewhere none can be made, and [Pipe] serves.
type KernelPipe struct{ lease lease }

var (
	_ Conduit = (*KernelPipe)(nil)

	errNotLinux = &OpError{Op: "open", Side: SidePipe, Err: errors.Join(ErrNoKernelPipe, errors.ErrUnsupported)}
)

// NewKernelPipe fails: this system has no splice.
func NewKernelPipe(int) (*KernelPipe, error) { return nil, errNotLinux }

// AdoptKernelPipe fails: this system has no splice.
func AdoptKernelPipe(_, _ *os.File) (*KernelPipe, error) { return nil, errNotLinux }

// The verbs of a pipe that cannot exist.

func (*KernelPipe) Read([]byte) (int, error)  { return 0, errNotLinux }
func (*KernelPipe) Write([]byte) (int, error) { return 0, errNotLinux }
func (*KernelPipe) ReadContext(context.Context, []byte) (int, error) {
	return 0, errNotLinux
}

func (*KernelPipe) WriteContext(context.Context, []byte) (int, error) {
	return 0, errNotLinux
}
func (*KernelPipe) TryRead([]byte) (int, error)  { return 0, errNotLinux }
func (*KernelPipe) TryWrite([]byte) (int, error) { return 0, errNotLinux }
func (*KernelPipe) Len() int                     { return 0 }
func (*KernelPipe) Cap() int                     { return 0 }
func (*KernelPipe) Slots() int                   { return 0 }
func (*KernelPipe) Full() bool                   { return false }
func (*KernelPipe) Resize(int) error             { return errNotLinux }
func (*KernelPipe) Vmsplice(context.Context, *Mapping, int, int, Flags) (int, error) {
	return 0, errNotLinux
}
func (*KernelPipe) Peek(int) ([]byte, error)          { return nil, errNotLinux }
func (*KernelPipe) PeekInto([]byte) (int, error)      { return 0, errNotLinux }
func (*KernelPipe) Discard(int) (int, error)          { return 0, errNotLinux }
func (*KernelPipe) Close() error                      { return nil }
func (*KernelPipe) CloseRead() error                  { return nil }
func (*KernelPipe) CloseWrite() error                 { return nil }
func (*KernelPipe) Readable() <-chan struct{}         { return closedChan }
func (*KernelPipe) Writable() <-chan struct{}         { return closedChan }
func (*KernelPipe) SetDeadline(time.Time) error       { return errNotLinux }
func (*KernelPipe) SetReadDeadline(time.Time) error   { return errNotLinux }
func (*KernelPipe) SetWriteDeadline(time.Time) error  { return errNotLinux }
func (*KernelPipe) room(context.Context, Flags) error { return errNotLinux }
func (*KernelPipe) backing() string                   { return "kernel" }
func (*KernelPipe) available(context.Context, Flags) (int, error) {
	return 0, errNotLinux
}
func (*KernelPipe) ReadEnd() (*os.File, error)          { return nil, errNotLinux }
func (*KernelPipe) WriteEnd() (*os.File, error)         { return nil, errNotLinux }
func (*KernelPipe) gone() error                         { return errNotLinux }
func (*KernelPipe) takesAll(int) error                  { return errNotLinux }
func (*KernelPipe) measure() int                        { return 0 }
func (*KernelPipe) asLent() bool                        { return false }
func (*KernelPipe) readNow([]byte) (int, error)         { return 0, errNotLinux }
func (*KernelPipe) writePages([][]byte) (int, error)    { return 0, errNotLinux }
func spliceKernel(_, _ *KernelPipe, _ int) (int, error) { return 0, errNotLinux }
func teeKernel(_, _ *KernelPipe, _ int) (int, error)    { return 0, errNotLinux }
