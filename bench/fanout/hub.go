package main

import (
	"context"
	"net"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// relayHub is this project's hub, blocking as MultiWriter does.
func relayHub(src *net.TCPConn, viewers []*net.TCPConn) error {
	h := hub.New(hub.Config{OnSlow: hub.Block})
	left := make([]*hub.Viewer, len(viewers))
	for i, c := range viewers {
		v, err := h.Attach(penstock.SinkOf(c), hub.SinkConfig{OnLeave: func(error) { c.Close() }})
		if err != nil {
			return err
		}
		left[i] = v
	}
	if _, err := h.Publish(context.Background(), penstock.SourceOf(src), hub.PublishConfig{}); err != nil {
		return err
	}
	h.End()
	h.Wait()
	for _, v := range left {
		if err := v.Err(); err != nil {
			return err
		}
	}
	return src.Close()
}
