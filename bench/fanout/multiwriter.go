package main

import (
	"io"
	"net"
)

// relayMultiWriter is what most Go programs do: one buffer, written to every viewer in turn.
func relayMultiWriter(src *net.TCPConn, viewers []*net.TCPConn) error {
	writers := make([]io.Writer, len(viewers))
	for i, v := range viewers {
		writers[i] = v
	}
	// Hiding ReadFrom and WriteTo makes CopyBuffer use the buffer.
	_, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(writers...)}, struct{ io.Reader }{src}, make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	return closeAll(viewers)
}
