package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/penstock-io/penstock"
)

// TestALateSinkIsOpenedWithItsFirstByte, and never without one.
func TestALateSinkIsOpenedWithItsFirstByte(t *testing.T) {
	for name, opts := range map[string][]penstock.Option{
		"in step": nil, "queued": {penstock.WithQueue(1, penstock.Queue{Size: 1 << 20})},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{"", "some bytes"} {
				opened := 0
				var got closed
				late := penstock.NewLate(func(context.Context) (io.WriteCloser, error) {
					opened++
					return &got, nil
				})
				_, err := penstock.Copy(t.Context(), io.Discard, strings.NewReader(text), append(opts, penstock.WithTee(late))...)
				if err != nil || got.String() != text || opened != min(len(text), 1) {
					t.Errorf("%v: opened %d times, and got %q", err, opened, &got)
				}
				if err := late.Close(); err != nil || got.closed != opened {
					t.Errorf("%v: closed %d times", err, got.closed)
				}
				if _, err := late.Write(nil); err == nil {
					t.Error("it takes something after its end")
				}
			}
		})
	}
}

// closed counts how often it has been.
type closed struct {
	bytes.Buffer
	closed int
}

func (c *closed) Close() error {
	c.closed++
	return nil
}

// TestALateSinkThatCannotBeOpenedFailsAlone, and what it lacks is in flight; one whose opening lasts ends with the copy.
func TestALateSinkThatCannotBeOpenedFailsAlone(t *testing.T) {
	refuse := func(context.Context) (io.WriteCloser, error) { return nil, errTest }
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	last := func(ctx context.Context) (io.WriteCloser, error) {
		cancel(errGone)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, f := range map[string]func(context.Context) (io.WriteCloser, error){"refuses": refuse, "lasts": last} {
		var got bytes.Buffer
		within := t.Context()
		if name == "lasts" {
			within = ctx
		}
		_, err := penstock.Copy(within, &got, strings.NewReader("some bytes"), penstock.WithTee(penstock.NewLate(f)),
			penstock.WithQueue(1, penstock.Queue{Size: 100}), penstock.WithOutputErrors(func(*penstock.OpError) bool { return true }))
		ops := penstock.Failures(err)
		if got.String() != "some bytes" || len(ops) == 0 || ops[0].InFlight == nil || ops[0].InFlight.Len() != got.Len() {
			t.Errorf("%s: %v, and the other got %q", name, err, &got)
		}
		if !errors.Is(err, map[string]error{"refuses": errTest, "lasts": errGone}[name]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAQueueMayHaveEnough: its output gets so many bytes, and the others all.
func TestAQueueMayHaveEnough(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 5)
	for _, most := range []int64{1, 4096, 100_001, int64(len(data)), 1 << 30} {
		for name, noSplice := range map[string][]penstock.Option{"any way": nil, "no splice": {penstock.WithoutSplice()}} {
			var all, some bytes.Buffer
			rep, err := penstock.Copy(t.Context(), &all, tcpSource(t, data), append(noSplice, penstock.WithTee(&some),
				penstock.WithQueue(1, penstock.Queue{Size: 10_000, Most: most}))...)
			if err != nil || !bytes.Equal(all.Bytes(), data) || !bytes.Equal(some.Bytes(), data[:min(most, int64(len(data)))]) {
				t.Errorf("%s, most %d: %d and %d bytes, %v", name, most, all.Len(), some.Len(), err)
			}
			if rep.Outputs[1].Skipped != 0 || rep.Outputs[1].Delivered != int64(some.Len()) {
				t.Errorf("%s, most %d: %+v", name, most, rep.Outputs)
			}
		}
	}
}
