package main

import "io"

// relayMultiWriter is what most Go programs do: one buffer, written to every viewer in turn.
func relayMultiWriter(d duty) error {
	// Hiding ReadFrom and WriteTo makes CopyBuffer use the buffer.
	to := struct{ io.Writer }{io.MultiWriter(d.writers()...)}
	if _, err := io.CopyBuffer(to, struct{ io.Reader }{d.src}, make([]byte, copyBuffer)); err != nil {
		return err
	}
	return closeAll(d.viewers)
}
