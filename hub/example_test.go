package hub_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

func Example() {
	h := hub.New(hub.Config{OnSlow: hub.Block})
	var recording, viewer bytes.Buffer
	for name, w := range map[string]*bytes.Buffer{"recording": &recording, "viewer": &viewer} {
		if _, err := h.Attach(penstock.SinkOf(w), hub.SinkConfig{Name: name}); err != nil {
			fmt.Println(err)
			return
		}
	}
	n, err := h.Publish(context.Background(), penstock.SourceOf(strings.NewReader("live from the reservoir")), hub.PublishConfig{})
	h.End()
	h.Wait()
	fmt.Println(n, err)
	fmt.Println(recording.String())
	fmt.Println(viewer.String())
	// Output:
	// 23 <nil>
	// live from the reservoir
	// live from the reservoir
}
