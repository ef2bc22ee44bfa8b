package penstock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/penstock-io/penstock"
)

// TestATransferGoesOnWithoutTheOutputsThatFail, whichever it is of every kind of them: the others get everything, and
// what was in flight to it is told.
func TestATransferGoesOnWithoutTheOutputsThatFail(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 16)
	turn := 0
	for _, from := range origins() {
		for _, by := range manners(t) {
			for fails := range 3 {
				if turn++; !exhaustive && turn%4 > 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, output %d", from.name, by.name, fails), func(t *testing.T) {
					var o outputs
					for i := range 3 {
						if i == fails {
							o.add(&stubborn{takes: 70_001}, nil)
							continue
						}
						o.add(drained(t, []string{"tcp", "unix", "tcp"}[i]))
					}
					told := 0
					rep, err := o.transfer(from.open(t, data), append(by.opts, penstock.WithOutputErrors(func(op *penstock.OpError) bool {
						told++
						return errors.Is(op, errTest)
					}))...).Run(background)
					ops := penstock.Failures(err)
					if len(ops) != 1 || told != 1 || !errors.Is(ops[0], errTest) || ops[0].Side != penstock.SideSink {
						t.Fatalf("%d told: %v", told, err)
					}
					named := (*penstock.OutputError)(nil)
					if is := errors.As(ops[0], &named); is != (fails > 0) || is && named.Output != fails {
						t.Errorf("output %d: %v", fails, err)
					}
					at := ops[0].Offset
					if b := inFlightOf(t, ops[0]); at != 70_001 || !bytes.HasPrefix(data[at:], b) {
						t.Errorf("failed at %d with %d bytes in flight, or others", at, len(b))
					}
					if rep.Consumed != int64(len(data)) {
						t.Errorf("%d consumed", rep.Consumed)
					}
					for i, got := range o.got {
						if got != nil && !bytes.Equal(got(), data) {
							t.Errorf("output %d lacks something", i)
						}
					}
				})
			}
		}
	}
}

// TestATransferEndsWithItsLastOutput, and with the first that it is not to go on without.
func TestATransferEndsWithItsLastOutput(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 16)
	for _, by := range manners(t) {
		for _, goOn := range []bool{true, false} {
			t.Run(fmt.Sprint(by.name, goOn), func(t *testing.T) {
				src := tcpSource(t, data)
				first, second := &stubborn{takes: 10_000}, &stubborn{takes: 500_000}
				rep, err := penstock.Copy(background, first, src, append(by.opts, penstock.WithTee(second),
					penstock.WithOutputErrors(func(*penstock.OpError) bool { return goOn }))...)
				ops := penstock.Failures(err)
				if goOn && (len(ops) != 2 || ops[1].Offset != 500_000) || !goOn && len(ops) != 1 || ops[0].Offset != 10_000 {
					t.Errorf("%v", err)
				}
				if got := append(first.Bytes(), inFlightOf(t, ops[0])...); !bytes.HasPrefix(data, got) {
					t.Errorf("the first got others")
				}
				rest, rerr := io.ReadAll(src)
				if rerr != nil || !bytes.Equal(rest, data[rep.Consumed:]) {
					t.Errorf("%d bytes are left of %d, %v", len(rest), len(data)-int(rep.Consumed), rerr)
				}
			})
		}
	}
}
