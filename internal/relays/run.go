package relays

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"
)

// watchEvery is how often a file is looked at. It is taken as it is when two looks find the same, so that nobody's half
// of a file is.
const watchEvery = time.Second

// Source is where a process has its Config from.
type Source struct {
	Load  func() (Config, error)
	File  string           // to be loaded anew when it changes; empty is none
	Again <-chan os.Signal // asks to load anew, and to begin a new access log
	seen  os.FileInfo      // of the file, when it was loaded last; nil is that it was not there
	last  *Config          // what was loaded last; nil before
}

// Begin loads the first Config, for who has to know it before Run, which takes it from there then: a pipe has it only
// once. It waits for one that nobody writes to until ctx is done, and then returns its cause.
func (f *Source) Begin(ctx context.Context) (Config, error) {
	f.seen = f.look()
	type loaded struct {
		Config
		err error
	}
	came := make(chan loaded, 1)
	go func() {
		c, err := f.Load()
		came <- loaded{c, err}
	}()
	select {
	case l := <-came:
		if l.err == nil {
			f.last = &l.Config
		}
		return l.Config, l.err
	case <-ctx.Done():
		return Config{}, context.Cause(ctx)
	}
}

// again loads another Config. Where there is no file, but a pipe, there will be no other: whoever waited for one would do
// nothing else any more.
func (f *Source) again() (c Config, other bool, err error) {
	if fi, err := os.Stat(f.File); f.File != "" && err == nil && !fi.Mode().IsRegular() && f.last != nil {
		return *f.last, false, nil
	}
	f.seen = f.look()
	if c, err = f.Load(); err == nil {
		f.last = &c
	}
	return c, true, err
}

// Run runs the relays that the source says until ctx is done, and then shuts them down. Its error is that of Begin.
func (s *Set) Run(ctx context.Context, from Source) error {
	if err := s.Begin(ctx, &from); err != nil {
		return err
	}
	s.Follow(ctx, &from)
	return nil
}

// Begin begins to relay what the source says, which is what Follow is for then. Its error is that it cannot be read, or
// something not be opened.
func (s *Set) Begin(ctx context.Context, from *Source) error {
	if from.last == nil {
		if _, err := from.Begin(ctx); err != nil {
			return err
		}
	}
	return s.Apply(ctx, *from.last)
}

// Follow has the relays as the source says until ctx is done, and then shuts them down. What cannot be read or opened
// changes nothing, and is logged.
func (s *Set) Follow(ctx context.Context, from *Source) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	last := from.seen
	for {
		select {
		case <-ctx.Done():
			s.Shutdown()
			return
		case <-from.Again:
			s.reload(ctx, from, "signal")
		case <-tick.C:
			s.Tidy()
			now := from.look()
			if now != nil && !unchanged(now, from.seen) && unchanged(now, last) {
				s.reload(ctx, from, "the file has changed")
			}
			last = now
		}
	}
}

// look returns what tells whether the file has changed. An editor may put another in its place, and there may be none
// for a moment. A pipe is no file that could: what comes when it is opened again is not known, nor when.
func (f *Source) look() os.FileInfo {
	if f.File == "" {
		return nil
	}
	fi, err := os.Stat(f.File)
	if err != nil || !fi.Mode().IsRegular() {
		return nil // who asks by signal is told
	}
	return fi
}

func unchanged(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// reload takes a new Config, or tells why not.
func (s *Set) reload(ctx context.Context, from *Source, why string) {
	c, other, err := from.again()
	if err != nil {
		s.Refuse(err)
	} else {
		err = s.Apply(ctx, c)
	}
	if err == nil && !other {
		s.log.Warn("not read again: it is no file. There is a new access log, and nothing else", "config", from.File)
		return
	}
	if err == nil {
		s.log.Info("reloaded", "why", why, "relays", len(c.Relays))
		return
	}
	s.log.Error("not reloaded: everything is as it was", "why", why)
	tellEach(s.log, err)
}

// tellEach logs errors that were joined line by line.
func tellEach(log *slog.Logger, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		log.Error("not reloaded", "error", line)
	}
}
