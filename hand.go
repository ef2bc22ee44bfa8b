package penstock

import "sync"

// hand is what a carriage holds while bytes are under way, and only then: a quiet transfer holds no buffer.
type hand struct {
	buf   *[]byte // from one of the buffer pools
	bytes []byte  // of buf: what is to be delivered
	roomy bool    // a larger buffer is worth it
}

const (
	smallBuffer = 32 << 10
	largeBuffer = 256 << 10 // measured: larger ones leave the cache
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// space returns the buffer, which the carriage has from now on.
func (h *hand) space() []byte {
	if h.buf == nil {
		pool := &smallBuffers
		if h.roomy {
			pool = &largeBuffers
		}
		h.buf = pool.Get().(*[]byte)
	}
	return *h.buf
}

// letGoBuffer returns the buffer to its pool. Nothing is in it any more.
func (h *hand) letGoBuffer() {
	h.bytes = nil
	if h.buf == nil {
		return
	}
	if len(*h.buf) == smallBuffer {
		smallBuffers.Put(h.buf)
	} else {
		largeBuffers.Put(h.buf)
	}
	h.buf = nil
}

// delivered is for a buffer whose bytes have gone. It is kept for the next chunk if it is of the right size.
func (h *hand) delivered() {
	h.bytes = nil
	if h.buf != nil && h.roomy != (len(*h.buf) == largeBuffer) {
		h.letGoBuffer()
	}
}

// grow asks for a larger buffer when one has come back full.
func (h *hand) grow(n int) { h.roomy = h.roomy && n > smallBuffer/2 || n == smallBuffer }
