package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestAnAnswerOutlivesTheUploadThatNobodyWanted as a server's does that says no before it has read all, and closes: the
// client gets no reset, which would destroy what he has not read of the answer yet.
func TestAnAnswerOutlivesTheUploadThatNobodyWanted(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	to := server.Addr().String()
	cmd := exec.CommandContext(t.Context(), "penstock", "copy", "--both", "tcp-listen://127.0.0.1:0", to)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stderr)
	line, _ := said.ReadString('\n')
	_, at, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("it said %q", line)
	}
	client, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	uploaded := make(chan error, 1)
	go func() {
		_, err := client.Write(make([]byte, 64<<20)) // more than everybody's buffers
		uploaded <- err
	}()

	answer := bytes.Repeat([]byte("No. "), 16<<10)
	c, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(answer); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("the answer: %d bytes of %d, %v", len(got), len(answer), err)
	}
	if err := c.Close(); err != nil { // with something unread: a reset
		t.Fatal(err)
	}
	if err := <-uploaded; err != nil { // it is one who does not look at the answer before that is through
		t.Errorf("the upload: %v", err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	rest, _ := io.ReadAll(said)
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitDestinations {
		t.Errorf("%v, it said %q", err, rest)
	}
	if n := bytes.Count(rest, []byte("\n")); n != 1 {
		t.Errorf("it said %q", rest)
	}
}
