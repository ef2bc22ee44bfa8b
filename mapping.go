package penstock

import (
	"math"
	"os"
	"sync"
	"syscall"
)

// Mapping is memory outside the heap that [KernelPipe.Vmsplice] may lend to the kernel. The heap's never is lent so: the
// collector gives it to somebody else while a pipe, or a socket behind it, still reads it.
//
// It is made by NewMapping. Its methods may be called from any goroutine, but for Close while the bytes are in use.
type Mapping struct {
	mu   sync.RWMutex // against Close; who uses the memory in a system call has it for reading
	data []byte       // nil once closed
}

// NewMapping maps n bytes of zeroes, rounded up to the system's pages, for the caller to close. They cost memory once
// they are written to. Its error is EINVAL for what is no size, or why the system has none (ENOMEM); outside Linux there
// is no vmsplice, and it is errors.ErrUnsupported. (mmap(2), MAP_PRIVATE and MAP_ANONYMOUS)
func NewMapping(n int) (*Mapping, error) {
	page := os.Getpagesize()
	if n <= 0 || n > math.MaxInt32-page {
		return nil, opErr("map", SidePipe, "", syscall.EINVAL)
	}
	data, err := mapPages((n + page - 1) / page * page)
	if err != nil {
		return nil, opErr("map", SidePipe, "", err)
	}
	return &Mapping{data: data}, nil
}

// Bytes returns the memory, all of it, and nil once it is closed. To touch it after Close is a fault.
func (m *Mapping) Bytes() []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.data
}

// Close unmaps the memory, after the Vmsplice in progress. What pipes hold of it stays readable. It may be called again.
func (m *Mapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	data := m.data
	m.data = nil
	if data == nil {
		return nil
	}
	return opErr("unmap", SidePipe, "", unmapPages(data))
}
