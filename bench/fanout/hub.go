package main

import (
	"context"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// hubOf is this project's hub, blocking as MultiWriter does.
func hubOf(cfg hub.Config) relay { return func(d duty) error { return relayHub(hub.New(cfg), d) } }

func relayHub(h *hub.Hub, d duty) error {
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
