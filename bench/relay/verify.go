package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// What is sent to verify a relay: messages of an odd length, each of other random bytes than those before it. Together
// they are less than penstock lets a mirror be behind: it would leave out what is more.
const (
	messages    = 8
	messageSize = 100_003
)

// verify has every kind carry messages to the server and back, before anything is measured, and compares every byte: of
// what comes back, and of what a mirror has got.
func (w *workplace) verify(all []comparison) error {
	seen := make(map[string]bool)
	for _, c := range all {
		for _, k := range c.Kinds {
			if seen[k.name] {
				continue
			}
			seen[k.name] = true
			if err := w.verifyOne(k); err != nil {
				return fmt.Errorf("verifying %s: %w", k.name, err)
			}
		}
	}
	return nil
}

func (w *workplace) verifyOne(k kind) error {
	s, err := w.set(k, func(p ports) string { return p.Streams }, false)
	if err != nil {
		return err
	}
	defer s.strike()
	watchdog := time.AfterFunc(hung, s.kill)
	defer watchdog.Stop()
	if err := s.server.Ask(compareMirrors, new(bool)); err != nil {
		return err
	}
	c, err := s.dial(echoes, messageSize)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := crc32.NewIEEE()
	_, _ = sent.Write(header(echoes, messageSize)) // a sum never fails
	if err := sameBack(c, sent); err != nil {
		return err
	}
	c.Close()
	if !k.mirror {
		return nil
	}
	return s.sameMirrored(sent.Sum32())
}

// sameMirrored waits until the mirror has got a stream to its end, and compares its sum.
func (s *stage) sameMirrored(want uint32) error {
	const patience = 10 * time.Second
	var got []uint32
	for deadline := time.Now().Add(patience); len(got) == 0 && time.Now().Before(deadline); {
		time.Sleep(askAgain)
		if err := s.server.Ask(sumsOfMirrors, &got); err != nil {
			return err
		}
	}
	if !slices.Equal(got, []uint32{want}) {
		return fmt.Errorf("the mirror has streams with the sums %x, want one with %x", got, want)
	}
	return nil
}

// sameBack sends messages, and compares each with what comes back before it sends the next one. What was sent is
// written to sum, too.
func sameBack(c net.Conn, sum io.Writer) error {
	random := rand.NewChaCha8([32]byte{})
	sent, got := make([]byte, messageSize), make([]byte, messageSize)
	for i := range messages {
		_, _ = random.Read(sent) // never fails
		_, _ = sum.Write(sent)   // nor does a sum
		if _, err := c.Write(sent); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
		if !bytes.Equal(sent, got) {
			return fmt.Errorf("message %d of %d comes back as another one", i+1, messages)
		}
	}
	return nil
}
