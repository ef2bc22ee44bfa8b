package main

import (
	"context"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// relayHub is this project's hub, blocking as MultiWriter does.
func relayHub(d duty) error {
	h := hub.New(hub.Config{OnSlow: hub.Block})
	var left []*hub.Viewer
	for _, c := range d.viewers {
		v, err := h.Attach(penstock.SinkOf(c), hub.SinkConfig{OnLeave: func(error) { c.Close() }})
		if err != nil {
			return err
		}
		left = append(left, v)
	}
	if d.record != nil {
		v, err := h.Attach(penstock.SinkOf(d.record), hub.SinkConfig{Name: "recording", MustHave: true})
		if err != nil {
			return err
		}
		left = append(left, v)
	}
	if _, err := h.Publish(context.Background(), penstock.SourceOf(d.src), hub.PublishConfig{}); err != nil {
		return err
	}
	h.End()
	h.Wait()
	for _, v := range left {
		if err := v.Err(); err != nil {
			return err
		}
	}
	return d.src.Close()
}
