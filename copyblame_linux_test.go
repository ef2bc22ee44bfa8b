package penstock_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/internal/refuse"
)

// What blamed the wrong side, took a slower way or none without need, or looked at what it must leave alone: each did once.

// TestAPipeThatIsClosedWhileTheSourceIsReadIsToBlame, and not the source, which has done nothing: who retries the source
// would send to a dead pipe for ever.
func TestAPipeThatIsClosedWhileTheSourceIsReadIsToBlame(t *testing.T) {
	data := pattern(100)
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		p := open()
		left, asked, answer := data, make(chan struct{}, 10), make(chan struct{})
		src := reading(func(b []byte) (int, error) {
			asked <- struct{}{}
			<-answer
			n := copy(b, left)
			left = left[n:]
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		})
		go func() {
			<-asked
			p.(interface{ CloseRead() error }).CloseRead()
			close(answer)
		}()
		rep, err := penstock.Copy(background, p, src)
		accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, syscall.EPIPE))
		completes(t, data, src, err)
	})
}

// TestThePipeOfOnePageIsAPipe: the smallest that WithPipeSize takes is spliced through like any other.
func TestThePipeOfOnePageIsAPipe(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 16)
	for _, size := range []int{os.Getpagesize(), 2 * os.Getpagesize()} {
		dst, got := opened(t, termini()[0])
		rep, err := penstock.Copy(background, dst, tcpSource(t, data), penstock.WithPipeSize(size))
		if b := got(); err != nil || !bytes.Equal(b, data) {
			t.Errorf("%d bytes of %d, or others: %v", len(b), len(data), err)
		}
		if rep.By(penstock.PathSplice) == 0 {
			t.Errorf("a pipe of %d bytes: nothing went by splice: %v", size, rep)
		}
	}
}

// TestACopyThatReadsNothingLeavesABufioReaderAsItWas: what is under it is found by a copy of it. Its own WriteTo would
// forget the last byte, and the error behind what it holds.
func TestACopyThatReadsNothingLeavesABufioReaderAsItWas(t *testing.T) {
	near, far := socket(t, "tcp")
	send(t, far, []byte("x"))
	r := bufio.NewReader(near)
	if _, err := r.ReadByte(); err != nil {
		t.Fatal(err)
	}
	if _, err := penstock.Copy(background, io.Discard, r, penstock.WithLimit(0)); err != nil {
		t.Error(err)
	}
	if err := r.UnreadByte(); err != nil {
		t.Errorf("the byte that was read before: %v", err)
	}
}

// TestAnErrorThatABufioReaderHoldsIsTold: the connection has told it once, and looks ended since.
func TestAnErrorThatABufioReaderHoldsIsTold(t *testing.T) {
	for _, to := range termini() {
		near, far := socket(t, "tcp")
		send(t, far, []byte("\xe2")) // the first byte of a rune, so that it looks for more
		r := bufio.NewReader(near)
		if _, err := r.Peek(1); err != nil {
			t.Fatal(err)
		}
		reset(far)
		resetHasCome(t, near)
		if _, _, err := r.ReadRune(); err != nil {
			t.Fatal(err)
		}
		dst, _ := opened(t, to)
		_, err := penstock.Copy(background, dst, r)
		failedAt(t, err, penstock.SideSource, 0, syscall.ECONNRESET)
	}
}

// TestAFileIsCopiedWhereTheKernelsOwnPipeIsNotToBeHad: sendfile(2) and copy_file_range(2) charge one to the user, who may
// have no more. Then the bytes are read and written.
func TestAFileIsCopiedWhereTheKernelsOwnPipeIsNotToBeHad(t *testing.T) {
	if !refuse.Reexec(t, syscall.ENOMEM, "sendfile", "copy_file_range") {
		return
	}
	data := pattern(300_000)
	for _, from := range origins()[2:4] {
		for _, to := range termini() {
			for name, opts := range map[string][]penstock.Option{
				"bare": nil, "a header": {penstock.WithHeader([]byte("head"))},
			} {
				want := data
				if name == "a header" {
					want = append([]byte("head"), data...)
				}
				dst, got := opened(t, to)
				rep, err := penstock.Copy(background, dst, from.open(t, data), opts...)
				if b := got(); err != nil || !bytes.Equal(b, want) {
					t.Errorf("%s to %s, %s: %d bytes of %d, or others: %v, %v",
						from.name, to.name, name, len(b), len(want), rep, err)
				}
			}
		}
	}
}

// embedsTLS is a TLS connection of a type of its own, as people write them. NetConn is the embedded one's.
type embedsTLS struct{ *tls.Conn }

// itself offers itself as what it wraps.
type itself struct{ net.Conn }

func (c itself) NetConn() net.Conn { return c }

// TestBareLeavesTLSOn, also under other types: what is under it is the ciphertext. The plaintext would be spliced onto the
// wire.
func TestBareLeavesTLSOn(t *testing.T) {
	near, _ := socket(t, "tcp")
	secure := tls.Client(near, &tls.Config{ServerName: "localhost"})
	for _, c := range []net.Conn{
		secure, embedsTLS{secure}, &countingConn{Conn: secure}, &countingConn{Conn: embedsTLS{secure}},
	} {
		if bare := penstock.Bare(c); bare != c {
			t.Errorf("%T is bared to %T", c, bare)
		}
	}
	if bare := penstock.Bare(&countingConn{Conn: near}); bare != near {
		t.Errorf("a wrapper of TCP is bared to %T", bare)
	}
}

// TestBareEndsWithAConnectionThatWrapsItself, or it would look for ever.
func TestBareEndsWithAConnectionThatWrapsItself(t *testing.T) {
	near, _ := socket(t, "tcp")
	c := itself{near}
	_, err := promptly(t, func() (int, error) {
		if bare := penstock.Bare(c); bare != net.Conn(c) {
			return 0, errors.New("it is bared")
		}
		return 0, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// segments returns in how many segments a connection has sent, when it has done something more.
func segments(t *testing.T, c net.Conn, do func()) uint32 {
	t.Helper()
	_, before := unsent(t, c)
	do()
	_, after := unsent(t, c)
	return after - before
}

// TestAHeaderAndASmallFileAreOneSegment, whether all of the file is asked for or a window of it, as of a range in HTTP. A
// write and an io.Copy are two.
func TestAHeaderAndASmallFileAreOneSegment(t *testing.T) {
	header, data := []byte("HTTP/1.1 200 OK\r\n\r\n"), pattern(4096)
	whole := append(bytes.Clone(header), data...)
	for name, open := range map[string]func(t *testing.T) io.Reader{
		"file": func(t *testing.T) io.Reader { return tempFile(t, data, os.O_RDONLY) },
		"window of a file": func(t *testing.T) io.Reader {
			f := tempFile(t, append([]byte("before"), append(data, "after"...)...), os.O_RDONLY)
			return io.NewSectionReader(f, 6, int64(len(data)))
		},
		"window beyond a file's end": func(t *testing.T) io.Reader {
			return io.NewSectionReader(tempFile(t, data, os.O_RDONLY), 0, 1<<40)
		},
		"limit over a file": func(t *testing.T) io.Reader {
			return io.LimitReader(tempFile(t, append(data, "after"...), os.O_RDONLY), int64(len(data)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := socket(t, "tcp")
			ours := segments(t, near, func() {
				rep, err := penstock.Copy(background, near, open(t), penstock.WithHeader(header))
				if err != nil || rep.By(penstock.PathSendfile) != int64(len(data)) {
					t.Errorf("%v, %v", rep, err)
				}
				receive(t, far, whole)
			})
			theirs := segments(t, near, func() {
				send(t, near, header)
				if _, err := io.Copy(near, open(t)); err != nil {
					t.Error(err)
				}
				receive(t, far, whole)
			})
			t.Logf("%d bytes of header and %d of a file: %d data segment by Copy, %d by Write and io.Copy",
				len(header), len(data), ours, theirs)
			if ours != 1 {
				t.Errorf("they went in %d segments", ours)
			}
		})
	}
}
