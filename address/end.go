package address

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
)

// End is an address that has been opened. Whoever opened it calls Finish when all has been moved, and else Close.
type End struct {
	Address Address
	Peer    string    // who is at the other end, as package net writes it; empty if that is nobody
	Reader  io.Reader // of a source, and of both
	Writer  io.Writer // of a destination, and of both

	Size   int64 // bytes that a source will give from where it stands; -1 if that is not known
	Offset int64 // of a resumed file: how much was there
	Skip   int64 // of a source that could not begin at Config.Offset: how many bytes are still to be dropped

	ending ending
	mu     sync.Mutex
	over   bool
}

// ending is how one kind of end is ended. Each of finish and giveUp is called once at most, and one of them only.
type ending interface {
	finish(ctx context.Context) error
	giveUp() error // an error is why the end is of no use any more, if that is known
	closeWrite() error
}

// Finish ends it after all has been moved, and returns when what was written is safe from being cut off, or ctx is
// done.
//
//   - A connection that was written to is told the end. What its peer still says is read, and dropped, until the peer
//     has closed too, or its kernel has had everything for two seconds: a close with something unread is a reset, which
//     may destroy what the peer has not read yet. A peer that resets meanwhile has not read it all: that is an error.
//     Where the system does not tell what the peer's kernel has (all but Linux), the two seconds begin at once.
//   - A command is waited for, and its status, if not zero, is an error. So is what it has left unread (on Linux). Of a
//     source that was not read to its end, a command that dies of having nobody to write to is none; one that goes on
//     for two seconds is ended.
//   - An upload's answer is waited for, and an error if it is not 2xx.
//   - A file with the option sync is on the disk.
//
// It closes what was opened, and of what it was given, "-" and fd:N, all but standard input and standard error. Its
// error is an *Error. After Close it does nothing. It may be called from any goroutine.
func (e *End) Finish(ctx context.Context) error {
	if !e.begin() {
		return nil
	}
	return e.Address.failed(e.ending.finish(ctx))
}

// Close gives it up in the middle, so that nobody takes what was cut short for the whole: a peer is reset, a command gets
// SIGTERM, and after two seconds SIGKILL, an upload ends without its last chunk. A Unix socket has no reset: its peer sees
// an end. A file keeps what it has.
//
// Its error, an *Error, is what the other end has said of why it is of no use any more, if it has: a command's status, a
// server's answer, a TLS alert. That tells more than the EPIPE that a write to it got. After Finish it does nothing. It
// may be called from any goroutine.
func (e *End) Close() error {
	if !e.begin() {
		return nil
	}
	return e.Address.failed(e.ending.giveUp())
}

// CloseWrite tells the other end that no more will be written, and leaves reading as it is. It is for Both: Finish does
// it by itself.
func (e *End) CloseWrite() error { return e.Address.failed(e.ending.closeWrite()) }

// begin tells whether this is the call that ends it.
func (e *End) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.over
	e.over = true
	return !was
}

// failed makes of a cause, nil included, the error that people see.
func (a *Address) failed(err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	part, err := bare(err)
	return &Error{a.Redacted(), part, err}
}

// bare takes off what names the address once more, and tells of which part of it the error is.
func bare(err error) (part string, cause error) {
	switch e := err.(type) {
	case *partError:
		_, err = bare(e.err)
		return e.part, err
	case *finalError:
		return bare(e.error)
	case *url.Error:
		return bare(e.Err)
	case *net.DNSError:
		return "host " + strconv.Quote(e.Name), errors.New(e.Err)
	case *net.AddrError:
		return "", errors.New(e.Err)
	case *os.PathError:
		return "", e.Err
	case *net.OpError:
		switch e.Err.(type) {
		case *os.SyscallError: // has its own name for it
			return "", e.Err
		case *net.DNSError, *net.AddrError, *partError:
			return bare(e.Err)
		}
		return "", withOp(e.Op, e.Err)
	default:
		return "", err
	}
}

// firstOf returns the first error there is: what comes after a failure has seldom anything to add, and people get one
// line.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// nothingToEnd is of what nobody has to be told of, and nothing closed.
type nothingToEnd struct{}

func (nothingToEnd) finish(context.Context) error { return nil }
func (nothingToEnd) giveUp() error                { return nil }
func (nothingToEnd) closeWrite() error            { return nil }

// partError is an error that is of one part of the address.
type partError struct {
	part string
	err  error
}

func (e *partError) Error() string { return e.part + ": " + e.err.Error() }
func (e *partError) Unwrap() error { return e.err }
