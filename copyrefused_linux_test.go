package penstock_test

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/internal/refuse"
)

// TestCopiesAreRightInASandbox that refuses the verbs: tests that know nothing of it run in there, and the ways that are
// told are those that are allowed.
func TestCopiesAreRightInASandbox(t *testing.T) {
	const (
		matrix = "CopyCarriesEveryByteBetweenAnyTwoEnds|ExplainForetellsTheWay|TeesCarryEveryByteToEachOutput"
		all    = matrix + "|CopyBothLosesNothingAtAHalfClose|CopyBothGivesBackWhatWasInFlight|TwoFailingOutputsAreBothTold|" +
			"ACancelledTeeLeavesEachOutputWhatItLacks"
	)
	pipes := []string{"splice", "tee", "vmsplice"}
	every := []string{"splice", "tee", "vmsplice", "sendfile", "copy_file_range"}
	for _, box := range []struct {
		tests string
		errno syscall.Errno
		calls []string
	}{
		{all, syscall.EPERM, pipes},
		{all, syscall.ENOSYS, every},
		{matrix, syscall.EPERM, []string{"tee"}},
		{matrix, syscall.EPERM, []string{"sendfile", "copy_file_range"}},
	} {
		t.Run(fmt.Sprint(unix.ErrnoName(box.errno), " for ", strings.Join(box.calls, ", ")), func(t *testing.T) {
			if testing.Short() && len(box.calls) != len(every) {
				t.Skip("takes a while: only where all is refused")
			}
			t.Parallel() // it is another process that does something
			refuse.Run(t, "^Test("+box.tests+")$", box.errno, box.calls...)
		})
	}
}

// TestTeesCarryEveryByteToEachOutput, from every kind of source to outputs of every kind.
func TestTeesCarryEveryByteToEachOutput(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	kinds := termini()
	for i, from := range origins() {
		for first := range kinds {
			by := manners(t)[(i+first)%4]
			t.Run(from.name+" to "+kinds[first].name+" and others, "+by.name, func(t *testing.T) {
				var tos []terminus
				for j := range 3 {
					tos = append(tos, kinds[(first+j*3)%len(kinds)])
				}
				available(t, from.name, tos[0].name, tos[1].name, tos[2].name)
				src := from.open(t, data)
				var o outputs
				for _, to := range tos {
					o.add(opened(t, to))
				}
				rep, err := o.transfer(src, by.opts...).Run(background)
				if err != nil {
					t.Fatal(err)
				}
				accountedEach(t, data, rep, o, nil)
				if n := int64(len(data)); rep.Consumed != n {
					t.Errorf("consumed %d of %d", rep.Consumed, n)
				}
				here := penstock.Probe()
				if here.Splice.State == penstock.VerbRefused || here.Tee.State == penstock.VerbRefused {
					if n := rep.By(penstock.PathTeeSplice) + rep.By(penstock.PathSplice); n != 0 {
						t.Errorf("%d bytes went by what is refused: %v", n, rep)
					}
				}
			})
		}
	}
}
