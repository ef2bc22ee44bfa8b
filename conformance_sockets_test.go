package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// receive reads from the far end what is expected there, and no longer than it may take.
func receive(t *testing.T, far net.Conn, want []byte) {
	t.Helper()
	far.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came, %v", n, len(want), err)
	}
}

func send(t *testing.T, far net.Conn, b []byte) {
	t.Helper()
	if _, err := far.Write(b); err != nil {
		t.Fatal(err)
	}
}

// all splices until n bytes have gone.
func all(t *testing.T, w io.Writer, p penstock.Conduit, n int) {
	t.Helper()
	for n > 0 {
		m, err := promptly(t, func() (int, error) { return penstock.Splice(context.Background(), w, p, n, 0) })
		if err != nil {
			t.Fatal(err)
		}
		n -= m
	}
}

// TestConformanceSockets runs over streams of both kinds. Of the selftests of net/tls it has those that are not about
// records.
func TestConformanceSockets(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, open opener, near, far net.Conn)
	}{
		{"ltp splice/splice05: pipe to socket to pipe", func(t *testing.T, open opener, near, far net.Conn) {
			p, q, want := open(t, 16), open(t, 16), pattern(16*pageSize)
			for _, n := range []int{1, 1009, pageSize, 16 * pageSize} {
				put(t, p, want[:n])
				all(t, near, p, n)
				var got []byte
				for len(got) < n {
					m, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, q, far, n-len(got), 0) })
					if err != nil {
						t.Fatal(err)
					}
					b := make([]byte, m)
					if _, err := io.ReadFull(q, b); err != nil {
						t.Fatal(err)
					}
					got = append(got, b...)
				}
				if !bytes.Equal(got, want[:n]) {
					t.Errorf("%d bytes differ", n)
				}
			}
		}},
		{"measured: an empty socket is EAGAIN of the source", func(t *testing.T, open opener, near, _ net.Conn) {
			n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, open(t, 1), near, 100, penstock.NonBlock) })
			noData.check(t, n, err)
		}},
		{"measured: a full pipe is EAGAIN of the sink, data or none", func(t *testing.T, open opener, near, far net.Conn) {
			p := open(t, 1)
			put(t, p, pattern(pageSize))
			for range 2 {
				n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, p, near, 100, penstock.NonBlock) })
				noRoom.check(t, n, err)
				send(t, far, []byte("x"))
			}
			receive(t, near, []byte("xx"))
		}},
		{"measured: the end", func(t *testing.T, open opener, near, far net.Conn) {
			p := open(t, 2) // the end wants a slot, too
			send(t, far, []byte("abc"))
			far.Close()
			toEnd := 0
			for {
				n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, p, near, 100, 0) })
				toEnd += n
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if toEnd != 3 {
				t.Errorf("%d bytes before the end", toEnd)
			}
			take(t, p, []byte("abc"))
		}},
		{"measured: 30 one-byte sends, which may take a slot each", func(t *testing.T, open opener, near, far net.Conn) {
			p, want := open(t, 16), pattern(30)
			for _, b := range want {
				send(t, far, []byte{b})
			}
			var got []byte
			for len(got) < len(want) {
				n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, p, near, 64<<10, 0) })
				if err != nil {
					t.Fatal(err)
				}
				b := make([]byte, n)
				if _, err := io.ReadFull(p, b); err != nil {
					t.Fatal(err)
				}
				got = append(got, b...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%q", got)
			}
		}},
		{"measured: 40 sends of 1448 bytes, with no reader in between", func(t *testing.T, open opener, near, far net.Conn) {
			p, want := open(t, 16), pattern(40*1448)
			for i := 0; i < len(want); i += 1448 {
				send(t, far, want[i:i+1448])
			}
			var got []byte
			for len(got) < len(want) {
				// Behind what is in the pipe already: only a full one stops it, and says so.
				n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, p, near, 64<<10, penstock.NonBlock) })
				if errors.Is(err, penstock.ErrWouldBlock) {
					b := make([]byte, p.Len())
					if len(b) == 0 {
						continue // not delivered yet
					}
					if _, err := io.ReadFull(p, b); err != nil {
						t.Fatal(err)
					}
					got = append(got, b...)
				} else if err != nil {
					t.Fatal(n, err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes", len(got))
			}
		}},
		{"ltp sendfile07; measured: a full socket is EAGAIN of the sink, and the rest stays", func(t *testing.T, open opener, near, _ net.Conn) {
			p := open(t, 1)
			for {
				if p.Len() == 0 {
					put(t, p, pattern(pageSize))
				}
				n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, near, p, pageSize, penstock.NonBlock) })
				if err == nil {
					continue
				}
				noRoom.check(t, n, err)
				if p.Len() == 0 {
					t.Error("nothing is left in the pipe")
				}
				return
			}
		}},
		{"selftests net/tls sendfile, send_then_sendfile: header and file in one go", func(t *testing.T, open opener, near, far net.Conn) {
			p, body := open(t, 16), pattern(15*pageSize)
			put(t, p, []byte("test_send"))
			allInto(t, p, fileWith(t, string(body)), len(body))
			all(t, near, p, 9+len(body))
			receive(t, far, append([]byte("test_send"), body...))
		}},
		{"selftests net/tls splice_from_pipe2: two runs", func(t *testing.T, open opener, near, far net.Conn) {
			p, q, want := open(t, 4), open(t, 4), pattern(16000)
			put(t, p, want[:8000])
			all(t, near, p, 8000)
			put(t, q, want[8000:])
			all(t, near, q, 8000)
			receive(t, far, want)
		}},
		{"selftests net/tls send_and_splice: written and spliced", func(t *testing.T, open opener, near, far net.Conn) {
			p, want := open(t, 4), pattern(8000)
			put(t, p, want)
			send(t, near, []byte("test_send"))
			all(t, near, p, 8000)
			receive(t, far, append([]byte("test_send"), want...))
		}},
		{"selftests net/tls splice_to_pipe", func(t *testing.T, open opener, near, far net.Conn) {
			p, want := open(t, 16), pattern(15*1024)
			send(t, far, want)
			for p.Len() < len(want) {
				if _, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, p, near, len(want)-p.Len(), 0) }); err != nil {
					t.Fatal(err)
				}
			}
			take(t, p, want)
		}},
		{"selftests net/tls splice_more: 32 times a byte", func(t *testing.T, open opener, near, far net.Conn) {
			p, want := open(t, 16), pattern(32)
			for i := range want {
				put(t, p, want[i:i+1])
				n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, near, p, 100, penstock.NonBlock) })
				result{n: 1}.check(t, n, err)
				receive(t, far, want[i:i+1]) // it is not held back for more
			}
		}},
		{"selftests net/tls splice_short: 48 slots of a byte and a write leave in one splice", func(t *testing.T, open opener, near, far net.Conn) {
			p, q, want := open(t, 64), open(t, 1), pattern(48+256)
			for i := range 48 {
				put(t, q, want[i:i+1])
				n, err := penstock.Tee(ctx, p, q, 1, 0) // what was teed is not appended to
				result{n: 1}.check(t, n, err)
				q.Discard(1)
			}
			put(t, p, want[48:])
			n, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, near, p, 1<<20, 0) })
			result{n: len(want)}.check(t, n, err)
			receive(t, far, want)
		}},
	} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(tt.name+"/"+network, func(t *testing.T) {
				slotted(t, func(t *testing.T, open opener) {
					near, far := socket(t, network)
					tt.do(t, open, near, far)
				})
			})
		}
	}
}

// allInto splices until n bytes have come.
func allInto(t *testing.T, p penstock.Conduit, r io.Reader, n int) {
	t.Helper()
	for n > 0 {
		m, err := promptly(t, func() (int, error) { return penstock.Splice(context.Background(), p, r, n, 0) })
		if err != nil {
			t.Fatal(err)
		}
		n -= m
	}
}

// TestConformanceChunkedSendfile sends files in pieces, with a piece too many or too few.
func TestConformanceChunkedSendfile(t *testing.T) {
	slotted(t, func(t *testing.T, open opener) {
		near, far := socket(t, "tcp")
		for _, tt := range [][2]int{
			{4096, 4096},
			{4096, 0},
			{4096, 1},
			{4096, 2048},
			{8192, 2048},
			{4096, 8192},
			{8192, 4096},
			{12288, 1024},
			{12288, 2000},
			{15360, 100},
			{15360, 300},
			{1, 4096},
			{2048, 4096},
			{2048, 8192},
			{4096, 8192},
			{1024, 12288},
			{2000, 12288},
			{100, 15360},
			{300, 15360},
		} {
			chunk, want := tt[0], pattern(tt[0]+tt[1])
			t.Run(fmt.Sprintf("selftests net/tls multi_chunk_sendfile: %d and %d", tt[0], tt[1]), func(t *testing.T) {
				f, p, sent := fileWith(t, string(want)), open(t, 16), 0
				for {
					n, err := penstock.Splice(context.Background(), p, f, chunk, 0)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					all(t, near, p, n)
					sent += n
				}
				if sent != len(want) {
					t.Errorf("%d bytes of %d", sent, len(want))
				}
				receive(t, far, want)
			})
		}
	})
}
