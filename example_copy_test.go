package penstock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-io/penstock"
)

// tinyDisk takes so many bytes, and then fails.
type tinyDisk struct {
	bytes.Buffer
	room int
}

func (d *tinyDisk) Write(b []byte) (int, error) {
	n, _ := d.Buffer.Write(b[:min(len(b), d.room)])
	if d.room -= n; n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// Any writer, any reader. The report tells the way, and why it was that one.
func ExampleCopy() {
	var to bytes.Buffer
	rep, err := penstock.Copy(ctx, &to, strings.NewReader("any source, any sink"))
	fmt.Println(rep.Delivered, rep.Path, err)
	// Output: 20 read/write <nil>
}

// A disk is full in the middle of a stream. What had left the source and found no room is in the error, and goes first
// when the copy is resumed.
func ExampleResume() {
	source := strings.NewReader("not a byte of this stream is lost")
	full, other := &tinyDisk{room: 10}, &tinyDisk{room: 1 << 20}

	_, err := penstock.Copy(ctx, full, source)
	var op *penstock.OpError
	if errors.As(err, &op) {
		fmt.Println(op.Side, op.Offset, op.Err, op.InFlight.Len())
	}
	_, err = penstock.Resume(ctx, other, source, err)
	fmt.Printf("%q %q %v\n", full.String(), other.String(), err)
	// Output:
	// sink 10 no space left on device 23
	// "not a byte" " of this stream is lost" <nil>
}

// One stream to several sinks, in step.
func ExampleWithTee() {
	var disk, screen bytes.Buffer
	_, err := penstock.Copy(ctx, &disk, strings.NewReader("live"), penstock.WithTee(&screen))
	fmt.Println(disk.String(), screen.String(), err)
	// Output: live live <nil>
}

// An HTTP server in small: header and file leave in one packet, and the file never enters the process.
func ExampleWithHeader() {
	client, server := connect()
	defer client.Close()
	go func() {
		defer server.Close()
		file, err := os.Open("testdata/hello.txt")
		check(err)
		defer file.Close()
		header := []byte("HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\n")
		_, err = penstock.Copy(ctx, server, file, penstock.WithHeader(header), penstock.WithIdleTimeout(time.Minute))
		check(err)
	}()
	answer, err := io.ReadAll(client)
	fmt.Printf("%q %v\n", answer, err)
	// Output: "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n" <nil>
}

// A relay: both directions, with half-close.
func ExampleCopyBoth() {
	client, front := connect()
	back, server := connect()
	go func() { // which answers when it has heard everything
		question, err := io.ReadAll(server)
		check(err)
		_, err = fmt.Fprintf(server, "you said %q", question)
		check(errors.Join(err, server.Close()))
	}()
	go func() {
		_, err := client.Write([]byte("hello"))
		check(errors.Join(err, client.(*net.TCPConn).CloseWrite()))
	}()
	there, here, err := penstock.CopyBoth(ctx, front, back, penstock.WithIdleTimeout(time.Minute))
	fmt.Println(there.Delivered, here.Delivered, err)
	check(errors.Join(front.Close(), back.Close()))
	answer, err := io.ReadAll(client)
	fmt.Println(string(answer), err)
	// Output:
	// 5 16 <nil>
	// you said "hello" <nil>
}

// connect returns the two ends of a TCP connection.
func connect() (a, b net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	check(err)
	b, err = l.Accept()
	check(err)
	return a, b
}
