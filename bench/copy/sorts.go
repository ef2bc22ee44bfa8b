package main

import "github.com/penstock-io/penstock/bench/internal/table"

// sort is a way to measure: the roles in it and who directs them.
type sort struct {
	metrics []table.Metric
	roles   map[string]func() error
	direct  func(*cast) (values []float64, err error) // a value for each metric
}

var streamRoles = map[string]func() error{
	"source": func() error { return playSpec(playSource) },
	"sink":   func() error { return playSpec(playSink) },
	"copier": func() error { return playSpec(playCopier) },
}

// ratio heads the column of ratios that stands before a figure.
const ratio = "ratio"

// sorts are all of them. The copier's CPU time is what is measured, so it never shares its process.
var sorts = map[string]sort{
	"stream": {
		metrics: []table.Metric{
			{Name: "GB/s", Format: "%.2f", Ratio: ratio, More: true},
			{Name: "CPU-s/GB", Format: "%.3f", Ratio: ratio},
		},
		roles:  streamRoles,
		direct: directStream,
	},
	"paced": {
		metrics: []table.Metric{
			{Name: "CPU µs each", Format: "%.2f", Ratio: ratio},
			{Name: "times as long", Format: "%.2f"},
		},
		roles:  streamRoles,
		direct: directStream,
	},
	"round trips": {
		metrics: []table.Metric{
			{Name: "round trips/s", Format: "%.0f", Ratio: ratio, More: true},
			{Name: "p50 µs", Format: "%.1f", Ratio: ratio},
			{Name: "p99 µs", Format: "%.1f", Ratio: ratio},
			{Name: "CPU µs each", Format: "%.1f", Ratio: ratio},
		},
		roles: map[string]func() error{
			"client": func() error { return playSpec(playClient) },
			"server": func() error { return playSpec(playServer) },
			"copier": func() error { return playSpec(playRelay) },
		},
		direct: directRoundTrips,
	},
	"requests": {
		metrics: []table.Metric{
			{Name: "requests/s", Format: "%.0f", Ratio: ratio, More: true},
			{Name: "CPU µs each", Format: "%.1f", Ratio: ratio},
			{Name: "data segments each", Format: "%.2f"},
		},
		roles: map[string]func() error{
			"client": func() error { return playSpec(playRequester) },
			"copier": func() error { return playSpec(playFileServer) },
		},
		direct: directRequests,
	},
	"idle": {
		metrics: []table.Metric{
			{Name: "descriptors each", Format: "%.2f"},
			{Name: "resident KiB each", Format: "%.1f", Ratio: ratio},
			{Name: "with the kernel's", Format: "%.1f", Ratio: ratio},
			{Name: "connections", Format: "%.0f", More: true},
		},
		roles: map[string]func() error{
			"clients": func() error { return playSpec(playIdleClients) },
			"servers": func() error { return playSpec(playIdleServers) },
			"copier":  func() error { return playSpec(playIdleRelays) },
		},
		direct: directIdle,
	},
}
