package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/penstock-io/penstock/bench/internal/pace"
)

// playPublisher publishes messages at the stream's rate until it is killed, and says so when the server takes them.
func playPublisher(s spec, _ *json.Decoder, out *json.Encoder) error {
	conn, err := net.Dial("tcp", s.Publish)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, s.PublishRequest); err != nil {
		return err
	}
	if s.PublishAnswer {
		if err := awaitAnswer(conn); err != nil {
			return err
		}
	}
	if err := out.Encode(s); err != nil {
		return err
	}
	beat, err := pace.Start(s.every())
	if err != nil {
		return err
	}
	m := newMessage(s.Message)
	for number := uint64(0); ; number++ {
		due, err := beat.Next()
		if err != nil {
			return err
		}
		// What is stamped is when the message was due, not when it could be sent: a server that does not read does not
		// hide the delay it causes.
		stamp(m, number, due)
		if _, err := conn.Write(m); err != nil {
			return fmt.Errorf("the server takes no more: %w", err)
		}
	}
}

// longestAnswer is of the header of an HTTP answer.
const longestAnswer = 8 << 10

// awaitAnswer reads the header of an answer, no byte more, and fails unless it says that all is well.
func awaitAnswer(r io.Reader) error {
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return fmt.Errorf("no answer but %q: %w", head, err)
		}
		if head = append(head, b[0]); len(head) > longestAnswer {
			return errors.New("the answer has no end")
		}
	}
	return checkAnswer(head)
}

func checkAnswer(head []byte) error {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	if words := bytes.Fields(line); len(words) < 2 || string(words[1]) != "200" {
		return fmt.Errorf("refused: %s", line)
	}
	return nil
}
