package penstock

import (
	"context"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// windowPage is a window on a file: memory that has to be mapped to be touched and is unmapped after, as a device's
// would. While nobody looks it costs an offset and a length.
type windowPage struct {
	file   *os.File
	off    int64
	length int

	refs atomic.Int32

	mu   sync.Mutex
	maps int
	data []byte // while maps > 0

	released func()
}

// MapWindow makes a page of n bytes of the file from off on, which must be a multiple of the system's page size. The
// window is mapped only while somebody looks at it, and sees what is written to the file: it is [Shared]. The file stays
// open until released, if not nil, is called: once, when the last reference is gone. Its error is EINVAL for what is no
// window.
//
// A window that the file has shrunk beneath fails [Page.Confirm] with [ErrTruncated]. To shrink it in the moment that
// somebody looks is a fault of memory on Linux (SIGBUS), as with every mapped file: use it for files that nobody cuts.
// Elsewhere the bytes are read.
func MapWindow(file *os.File, off int64, n int, released func()) (Page, error) {
	if file == nil || off < 0 || off%int64(os.Getpagesize()) != 0 || n <= 0 || n > math.MaxInt32 || off > math.MaxInt64-int64(n) {
		return nil, opErr("map", SideSource, "", syscall.EINVAL)
	}
	otherPages.Add(1)
	w := &windowPage{file: file, off: off, length: n, released: released}
	w.refs.Store(1)
	return w, nil
}

func (w *windowPage) Confirm(context.Context) error {
	fi, err := w.file.Stat()
	if err != nil {
		return err
	}
	if fi.Mode().IsRegular() && fi.Size() < w.off+int64(w.length) {
		return ErrTruncated
	}
	return nil
}

func (w *windowPage) Map() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.maps == 0 {
		data, err := mapFile(w.file, w.off, w.length)
		if err != nil {
			return nil, err
		}
		w.data = data
	}
	w.maps++
	return w.data, nil
}

func (w *windowPage) Unmap() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.maps--
	switch {
	case w.maps == 0:
		unmapFile(w.data)
		w.data = nil
	case w.maps < 0:
		panic("penstock: window unmapped more often than it was mapped")
	}
}

func (w *windowPage) Get()                 { w.refs.Add(1) }
func (w *windowPage) Steal() bool          { return false }
func (w *windowPage) Stability() Stability { return Shared }

func (w *windowPage) Release() {
	switch n := w.refs.Add(-1); {
	case n < 0:
		panic("penstock: window released more often than it was held")
	case n == 0:
		otherPages.Add(-1)
		if w.released != nil {
			w.released()
		}
	}
}
