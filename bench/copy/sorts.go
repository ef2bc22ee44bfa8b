package main

// sort is a way to measure: the roles in it and who directs them.
type sort struct {
	metrics []metric
	roles   map[string]func() error
	direct  func(*cast) (values []float64, err error) // a value for each metric
}

var streamRoles = map[string]func() error{
	"source": func() error { return playSpec(playSource) },
	"sink":   func() error { return playSpec(playSink) },
	"copier": func() error { return playSpec(playCopier) },
}

// sorts are all of them. The copier's CPU time is what is measured, so it never shares its process.
var sorts = map[string]sort{
	"stream": {
		metrics: []metric{
			{name: "GB/s", format: "%.2f", more: true},
			{name: "CPU-s/GB", format: "%.3f"},
		},
		roles:  streamRoles,
		direct: directStream,
	},
	"paced": {
		metrics: []metric{
			{name: "CPU µs each", format: "%.2f"},
			{name: "times as long", format: "%.2f", plain: true},
		},
		roles:  streamRoles,
		direct: directStream,
	},
	"round trips": {
		metrics: []metric{
			{name: "round trips/s", format: "%.0f", more: true},
			{name: "p50 µs", format: "%.1f"},
			{name: "p99 µs", format: "%.1f"},
			{name: "CPU µs each", format: "%.1f"},
		},
		roles: map[string]func() error{
			"client": func() error { return playSpec(playClient) },
			"server": func() error { return playSpec(playServer) },
			"copier": func() error { return playSpec(playRelay) },
		},
		direct: directRoundTrips,
	},
	"requests": {
		metrics: []metric{
			{name: "requests/s", format: "%.0f", more: true},
			{name: "CPU µs each", format: "%.1f"},
			{name: "data segments each", format: "%.2f", plain: true},
		},
		roles: map[string]func() error{
			"client": func() error { return playSpec(playRequester) },
			"copier": func() error { return playSpec(playFileServer) },
		},
		direct: directRequests,
	},
	"idle": {
		metrics: []metric{
			{name: "descriptors each", format: "%.2f", plain: true},
			{name: "resident KiB each", format: "%.1f"},
			{name: "with the kernel's", format: "%.1f"},
			{name: "connections", format: "%.0f", more: true, plain: true},
		},
		roles: map[string]func() error{
			"clients": func() error { return playSpec(playIdleClients) },
			"servers": func() error { return playSpec(playIdleServers) },
			"copier":  func() error { return playSpec(playIdleRelays) },
		},
		direct: directIdle,
	},
}
