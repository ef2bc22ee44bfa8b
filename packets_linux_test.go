package penstock_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// packets is an adopted pipe of which each write is a packet (pipe2 with O_DIRECT).
func packets(t *testing.T) *penstock.KernelPipe {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_DIRECT); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	defer r.Close()
	defer w.Close()
	return adopt(t, r, w)
}

// TestATransferOfPartOfAPacketKeepsTheRest, as splice(2) and tee(2) do, while read(2) drops it.
func TestATransferOfPartOfAPacketKeepsTheRest(t *testing.T) {
	slotted(t, func(t *testing.T, open opener) {
		t.Run("behind bytes that are none", func(t *testing.T) {
			p, q, dst := packets(t), kernelPipe(t), open(t, 4)
			put(t, q, []byte("01234"))
			put(t, p, []byte("56789abcde"))
			if n, err := penstock.Splice(context.Background(), q, p, 10, penstock.NonBlock); n != 10 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			for _, want := range []string{"01234567", "89abcde"} {
				if n, err := transfers["splice"](dst, q, 8); n != len(want) || err != nil {
					t.Errorf("%d, %v", n, err)
				}
				take(t, dst, []byte(want))
			}
		})
		for _, n := range []int{1, 4, 9, 10, 11, 19} {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				p, dst := packets(t), open(t, 4)
				want := []byte("0123456789abcdefghij")
				put(t, p, want[:10])
				put(t, p, want[10:])
				for verb, call := range transfers {
					if m, err := call(dst, p, n); m != n || err != nil {
						t.Errorf("%s: %d, %v", verb, m, err)
					}
					take(t, dst, want[:n])
					if verb == "splice" {
						want = want[n:]
					}
					if p.Len() != len(want) {
						t.Errorf("%s: %d bytes are left, want %d", verb, p.Len(), len(want))
					}
					if n > len(want) {
						return
					}
				}
			})
		}
	})
}

var transfers = map[string]func(dst, src penstock.Conduit, n int) (int, error){
	"splice": func(dst, src penstock.Conduit, n int) (int, error) {
		return penstock.Splice(context.Background(), dst, src, n, penstock.NonBlock)
	},
	"tee": func(dst, src penstock.Conduit, n int) (int, error) {
		return penstock.Tee(context.Background(), dst, src, n, penstock.NonBlock)
	},
}

// TestPacketsAreNotCutWhereAPageEnds, wherever they were spliced through before.
func TestPacketsAreNotCutWhereAPageEnds(t *testing.T) {
	slotted(t, func(t *testing.T, open opener) {
		for verb, call := range transfers {
			for _, through := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, through another pipe %v", verb, through), func(t *testing.T) {
					p, dst := packets(t), open(t, 16)
					want := pages(4)
					put(t, p, want[:1]) // neither here
					for rest := want[1:]; len(rest) > 0; rest = rest[min(3000, len(rest)):] {
						put(t, p, rest[:min(3000, len(rest))])
					}
					if through {
						q := kernelPipe(t)
						if n, err := penstock.Splice(context.Background(), q, p, len(want), 0); n != len(want) || err != nil {
							t.Fatalf("%d, %v", n, err)
						}
						p = q
					}
					if n, err := call(dst, p, len(want)); n != len(want) || err != nil {
						t.Errorf("%d of %d, %v", n, len(want), err)
					}
					got := make([]byte, dst.Len())
					if _, err := io.ReadFull(dst, got); err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes of %d, or others; %v", len(got), len(want), err)
					}
				})
			}
		}
	})
}
