package main

import (
	"context"
	"io"
	"os"

	"github.com/penstock-io/penstock"
)

// benchPeer is what stands at the other end of a source or a sink: it feeds the one from a file, without an end, and
// drains the other. Both go the fastest way there is, so as not to be what is measured.
type benchPeer struct {
	end  io.ReadWriteCloser
	feed *os.File // nil if it drains
}

// serve feeds or drains until the other end is closed.
func (p *benchPeer) serve(ctx context.Context) error {
	if p.feed == nil {
		nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer nowhere.Close()
		_, err = penstock.Copy(ctx, nowhere, p.end)
		return err
	}
	for {
		if _, err := p.feed.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := penstock.Copy(ctx, p.end, p.feed); err != nil {
			return err // the other end is closed, usually
		}
	}
}

// closePeers gives back this process's part in the peers' ends.
func (b *bench) closePeers() {
	for _, p := range b.peers {
		_ = p.end.Close() // nothing of it is wanted any more
	}
}
