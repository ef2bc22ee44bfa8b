package mirror_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAWebSocketThroughARelay is of net/http's server and client, which hand the connection over when it is upgraded.
func TestAWebSocketThroughARelay(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		if err := rw.Flush(); err != nil {
			t.Error(err)
		}
		for { // each message comes back
			m, err := readMessage(rw)
			if err == io.EOF {
				return
			}
			if err == nil {
				_, err = c.Write(message(m, false))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	ways(t, func(t *testing.T, noSplice bool) {
		w := witness(t, s.Listener.Addr().String(), noSplice)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "websocket")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		c, ok := res.Body.(io.ReadWriter)
		if !ok {
			t.Fatal(res.Status)
		}
		for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			m := noise(n)
			sent := make(chan error)
			go func() {
				_, err := c.Write(message(m, true))
				sent <- err
			}()
			if got, err := readMessage(c); err != nil || !bytes.Equal(got, m) {
				t.Errorf("%d bytes: %d came back, or others: %v", n, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	})
}

// The frames of RFC 6455, 5.2.
const (
	finalBinary = 0x82 // a whole message
	maskBit     = 0x80 // in the byte of the length: a client's bytes are masked, by a key before them
	length16    = 126
	length64    = 127
)

// message is a binary message in one frame.
func message(b []byte, masked bool) []byte {
	frame, bit := []byte{finalBinary}, byte(0)
	if masked {
		bit = maskBit
	}
	switch n := len(b); {
	case n < length16:
		frame = append(frame, bit|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, bit|length16), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, bit|length64), uint64(n))
	}
	if !masked {
		return append(frame, b...)
	}
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	frame = append(frame, key[:]...)
	for i, x := range b {
		frame = append(frame, x^key[i%4])
	}
	return frame
}

// readMessage reads what message has made.
func readMessage(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := uint64(head[1] &^ maskBit)
	if size := map[uint64]int{length16: 2, length64: 8}[n]; size > 0 {
		var long [8]byte
		if _, err := io.ReadFull(r, long[8-size:]); err != nil {
			return nil, err
		}
		n = binary.BigEndian.Uint64(long[:])
	}
	var key [4]byte
	if head[1]&maskBit != 0 {
		if _, err := io.ReadFull(r, key[:]); err != nil {
			return nil, err
		}
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	for i := range b {
		b[i] ^= key[i%4]
	}
	return b, err
}
