package relays

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestALogThatIsWrittenAsideIsWritten(t *testing.T) {
	var out bytes.Buffer
	log, finish := Aside(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	log.With("relay", "db").WithGroup("of").Info("hello", "n", 1)
	log.Debug("never")
	finish()
	finish()
	log.Info("late")
	if got := out.String(); !strings.Contains(got, "msg=hello relay=db of.n=1\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("the log is %q", got)
	}
}

// slow is a log that is stuck until it is let go.
type slow struct {
	letGo chan struct{}
	bytes.Buffer
}

func (s *slow) Write(b []byte) (int, error) {
	<-s.letGo
	return s.Buffer.Write(b)
}

func TestALogThatIsStuckHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &slow{letGo: make(chan struct{})}
		log, finish := Aside(slog.NewTextHandler(out, nil))
		log.Info("first")
		synctest.Wait() // it is being written
		for i := range asideQueue + 5 {
			log.Info("more", "i", i)
		}
		before := time.Now()
		finish()
		if took := time.Since(before); took != asidePatience {
			t.Errorf("its end takes %v, want %v", took, asidePatience)
		}
		close(out.letGo)
		synctest.Wait()
		got := out.String()
		if !strings.Contains(got, "missing from this log\" records=5\n") {
			t.Errorf("that 5 records are missing is not told in %.300s", got)
		}
		last, next := fmt.Sprintf("msg=more i=%d\n", asideQueue-1), fmt.Sprintf("msg=more i=%d\n", asideQueue)
		if !strings.Contains(got, last) || strings.Contains(got, next) {
			t.Errorf("it is not the last ones that are missing")
		}
	})
}
