package penstock

import (
	"sync/atomic"
	"time"
)

// pace is a rate limit: a bucket that fills with a tenth of a second's worth of bytes. The limit may be changed from any
// goroutine; all else is the mover's.
type pace struct {
	rate   atomic.Int64                  // bytes per second; 0 for no limit
	news   atomic.Pointer[chan struct{}] // tells the mover, once it has slept, that something has changed
	halted atomic.Bool

	have float64 // bytes that may go now
	at   time.Time
}

const burst = 10 // the part of a second that may go at once

func (p *pace) set(bytesPerSecond int64) {
	p.rate.Store(bytesPerSecond)
	p.tell()
}

func (p *pace) interrupt() {
	p.halted.Store(true)
	p.tell()
}

func (p *pace) tell() {
	if news := p.news.Load(); news != nil {
		select {
		case *news <- struct{}{}:
		default: // one is on its way
		}
	}
}

// grant waits until some of n bytes may go, and returns how many; 0 if it has been interrupted. A quarter of the bucket
// is worth waiting for: so the limit costs no more than 40 wakings a second.
func (p *pace) grant(m *meter, n int) int {
	if p.rate.Load() == 0 {
		p.at = time.Time{}
		return n
	}
	if p.news.Load() == nil {
		news := make(chan struct{}, 1)
		p.news.Store(&news) // before the rate and the halt are looked at: what changes later is told
	}
	for {
		rate := float64(p.rate.Load())
		if rate == 0 {
			p.at = time.Time{}
			return n
		}
		now := time.Now()
		if p.at.IsZero() {
			p.at, p.have = now, rate/burst // a limit begins with a full bucket
		}
		p.have = min(p.have+rate*now.Sub(p.at).Seconds(), max(rate/burst, 1))
		p.at = now
		need := min(float64(n), max(rate/burst/4, 1))
		if p.have >= need {
			return int(min(float64(n), p.have))
		}
		if p.halted.Load() {
			return 0
		}
		m.wait(sideLimit)
		timer := time.NewTimer(time.Duration((need - p.have) / rate * float64(time.Second)))
		select {
		case <-timer.C:
		case <-*p.news.Load():
		}
		timer.Stop()
		m.going()
	}
}

// spend takes from the bucket what has gone.
func (p *pace) spend(n int) { p.have -= float64(n) }
