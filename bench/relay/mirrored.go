package main

import (
	"hash/crc32"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/penstock-io/penstock/bench/internal/socket"
)

// mirrored is what has come to the server's mirror port: everything is counted and thrown away, by the kernel, unless
// sums are to be made of it.
type mirrored struct {
	bytes   atomic.Int64
	compare atomic.Bool

	mu   sync.Mutex
	sums []uint32 // guarded by mu
}

// answer answers a question.
func (m *mirrored) answer(question string) any {
	switch question {
	case compareMirrors:
		m.compare.Store(true)
		return true
	case sumsOfMirrors:
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.Clone(m.sums)
	}
	return m.bytes.Load()
}

// take takes one connection to its end.
func (m *mirrored) take(c *net.TCPConn) error {
	if m.compare.Load() {
		return m.sum(c)
	}
	for {
		const atOnce = 4 << 20
		n, err := socket.Discard(c, atOnce)
		m.bytes.Add(n)
		if err != nil || n < atOnce {
			return err
		}
	}
}

func (m *mirrored) sum(c *net.TCPConn) error {
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, c)
	if n == 0 || err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sums = append(m.sums, sum.Sum32())
	return nil
}
