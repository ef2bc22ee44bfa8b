package penstock

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
)

// Late is a sink that is opened with the first byte that it is to get: for a [WithTee] that may never get any, or whose
// opening takes a time that nobody is to wait for. With a queue ([WithQueue]) it is opened beside the transfer, and what
// has been opened gets the bytes as if it had been there from the beginning: by splice, if it has a descriptor.
type Late struct {
	opener func(context.Context) (io.WriteCloser, error)

	once sync.Once
	mu   sync.Mutex // guards what follows
	w    io.WriteCloser
	err  error
}

// NewLate returns a Late that is opened by f, which is called once. The context is done when nobody waits any more.
func NewLate(f func(context.Context) (io.WriteCloser, error)) *Late { return &Late{opener: f} }

func (l *Late) open(ctx context.Context) (io.WriteCloser, error) {
	l.once.Do(func() {
		w, err := l.opener(ctx)
		if err != nil {
			w = nil // also if it is a pointer that is nil
		}
		if w == nil && err == nil {
			err = errors.New("nothing was opened")
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err != nil && err == nil { // closed meanwhile
			err = errors.Join(l.err, w.Close())
		}
		l.w, l.err = w, err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w, l.err
}

// Write opens it, if that has not been done, and writes.
func (l *Late) Write(b []byte) (int, error) {
	w, err := l.open(context.Background())
	if err != nil {
		return 0, err
	}
	return w.Write(b)
}

// Close closes what has been opened, and returns the error of that. What has not been opened never will be.
func (l *Late) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.w
	l.w = nil
	if l.err == nil {
		l.err = os.ErrClosed
	}
	if w == nil {
		return nil
	}
	return w.Close()
}
