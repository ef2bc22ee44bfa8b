package relays

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-io/penstock/internal/tell"
)

// ofRelay describes a series of a relay's: no two listen at one address, although one that leaves may have the name of
// another.
func ofRelay(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("penstock_relay_"+name, help, append([]string{"relay", "listen"}, labels...), nil)
}

func ofAll(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("penstock_"+name, help, nil, nil)
}

// The names are those that HAProxy gives the same things, where it has them, with the relay as label.
var (
	descUp          = ofRelay("up", "1 while the relay accepts connections.")
	descOpen        = ofRelay("current_connections", "Connections that are open.")
	descLimit       = ofRelay("limit_connections", "Connections that there may be; 0 is no limit.")
	descAccepted    = ofRelay("connections_total", "Connections accepted.")
	descRefused     = ofRelay("connections_refused_total", "Connections refused by a list or a limit.")
	descEnds        = ofRelay("connections_ended_total", "Connections that are over, by how they ended.", "termination")
	descIn          = ofRelay("bytes_in_total", "Bytes from clients that targets took.")
	descOut         = ofRelay("bytes_out_total", "Bytes from targets that clients took.")
	descSpliced     = ofRelay("spliced_bytes_total", "Bytes that did not enter the process.")
	descMirrored    = ofRelay("mirror_bytes_total", "Bytes that the mirror took.", "mirror")
	descLost        = ofRelay("mirror_lost_bytes_total", "Bytes that the mirror should have had, and lacks.", "mirror")
	descMirrorFail  = ofRelay("mirror_failed_connections_total", "Connections whose copy failed or was given up.", "mirror")
	descRetries     = ofRelay("retries_total", "Attempts to connect to a target after one that failed.")
	descScarce      = ofRelay("accept_failures_total", "Times that nothing could be accepted for want of descriptors.")
	descTargetUp    = ofRelay("target_up", "1 while the target is up.", "target")
	descTargetOpen  = ofRelay("target_current_connections", "Connections to the target.", "target")
	descTargetTotal = ofRelay("target_connection_attempts_total", "Connections to the target, and attempts.", "target")
	descTargetFail  = ofRelay("target_connection_errors_total", "Connections and checks that failed.", "target")

	descAccessLost = ofAll("access_log_lost_lines_total", "Lines that the access log lacks.")
	descReload     = ofAll("config_last_reload_successful", "0 if the last configuration was refused.")
	descReloaded   = ofAll("config_last_reload_success_timestamp_seconds", "When a configuration was taken last.")
)

// collect tells the same facts as the API. No series is of one connection, or of one client.
func (s *Set) collect(ch tell.Samples) {
	for _, f := range s.facts() {
		f.collect(ch)
	}
	ch.Counter(descAccessLost, s.access.lost.Load())
	last := s.lastChange()
	ch.Truth(descReload, last.failed == nil)
	ch.Gauge(descReloaded, float64(last.at.Unix()))
}

func (f *facts) collect(ch tell.Samples) {
	listen := f.Key
	ch.Truth(descUp, f.State == listening, f.Name, listen)
	ch.Gauge(descOpen, float64(f.Open), f.Name, listen)
	ch.Gauge(descLimit, float64(f.Limit), f.Name, listen)
	ch.Counter(descAccepted, f.Accepted, f.Name, listen)
	ch.Counter(descRefused, f.Refused, f.Name, listen)
	for how, n := range f.Ends {
		ch.Counter(descEnds, n, f.Name, listen, how)
	}
	ch.Counter(descIn, f.Forward, f.Name, listen)
	ch.Counter(descOut, f.Backward, f.Name, listen)
	ch.Counter(descSpliced, f.Spliced, f.Name, listen)
	ch.Counter(descRetries, f.Retried, f.Name, listen)
	ch.Counter(descScarce, f.Scarce, f.Name, listen)
	for _, t := range f.Targets {
		ch.Truth(descTargetUp, t.Up, f.Name, listen, t.Target)
		ch.Gauge(descTargetOpen, float64(t.Open), f.Name, listen, t.Target)
		ch.Counter(descTargetTotal, t.Total, f.Name, listen, t.Target)
		ch.Counter(descTargetFail, t.Failed, f.Name, listen, t.Target)
	}
	for _, m := range f.Mirrors {
		ch.Counter(descMirrored, m.Delivered, f.Name, listen, m.Mirror)
		ch.Counter(descLost, m.Lost, f.Name, listen, m.Mirror)
		ch.Counter(descMirrorFail, m.Failed, f.Name, listen, m.Mirror)
	}
}
