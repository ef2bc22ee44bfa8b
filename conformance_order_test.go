package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
)

// TestConformanceOrder is the measured table of who wins: no data, no room, no reader, the end. The kernel looks at the
// source first, but its end only counts once the destination could take something.
func TestConformanceOrder(t *testing.T) {
	table := []struct {
		src, dst string
		want     result
	}{
		{"empty", "empty", noData},
		{"empty", "full", noData},
		{"empty", "without a reader", noData},
		{"data", "empty", moved},
		{"data", "full", noRoom},
		{"data", "without a reader", noReader},
		{"ended", "empty", ended},
		{"ended", "full", noRoom},
		{"ended", "without a reader", noReader},
	}
	slotted(t, func(t *testing.T, from opener) {
		slotted(t, func(t *testing.T, to opener) {
			for _, tt := range table {
				for verb, call := range map[string]func(dst, src penstock.Conduit) (int, error){
					"splice": func(dst, src penstock.Conduit) (int, error) {
						return penstock.Splice(context.Background(), dst, src, 100, penstock.NonBlock)
					},
					"tee": func(dst, src penstock.Conduit) (int, error) {
						return penstock.Tee(context.Background(), dst, src, 100, penstock.NonBlock)
					},
				} {
					t.Run(fmt.Sprintf("measured: %s %s pipe to %s pipe", verb, tt.src, tt.dst), func(t *testing.T) {
						src, dst := from(t, 2), to(t, 1)
						if tt.src == "data" {
							put(t, src, []byte("abc"))
						}
						if tt.src == "ended" {
							closeWrite(t, src)
						}
						into(t, dst, tt.dst)
						held := src.Len()
						n, err := promptly(t, func() (int, error) { return call(dst, src) })
						if _, side := penstock.SideOf(err); side && tt.src == "empty" && tt.dst != "empty" && mixed(src, dst) {
							t.Log("either side is to blame:", err) // there is no kernel to say which comes first
						} else {
							tt.want.check(t, n, err)
						}
						isOf(t, verb, err)
						if verb == "splice" {
							held -= n
						}
						if src.Len() != held {
							t.Errorf("%d bytes are left in the source, want %d", src.Len(), held)
						}
					})
				}
			}
		})
	})
}

// isOf fails the test if an error tells of another verb than the one that was called.
func isOf(t *testing.T, verb string, err error) {
	t.Helper()
	if op := (*penstock.OpError)(nil); errors.As(err, &op) && op.Op != verb {
		t.Errorf("%s: %v", verb, err)
	}
}

// TestAnErrorIsOfTheVerbThatWasCalled also where it was waited for, and where an end is closed.
func TestAnErrorIsOfTheVerbThatWasCalled(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	verbs := map[string]func(context.Context, penstock.Conduit, penstock.Conduit) (int, error){
		"splice": func(ctx context.Context, dst, src penstock.Conduit) (int, error) {
			return penstock.Splice(ctx, dst, src, 100, 0)
		},
		"tee": func(ctx context.Context, dst, src penstock.Conduit) (int, error) {
			return penstock.Tee(ctx, dst, src, 100, 0)
		},
	}
	slotted(t, func(t *testing.T, from opener) {
		slotted(t, func(t *testing.T, to opener) {
			for verb, call := range verbs {
				for state, prepare := range map[string]func(dst, src penstock.Conduit){
					"empty":              func(_, _ penstock.Conduit) {},
					"full":               func(dst, src penstock.Conduit) { put(t, src, pattern(9)); put(t, dst, pattern(pageSize)) },
					"without a reader":   func(dst, src penstock.Conduit) { put(t, src, pattern(9)); into(t, dst, "without a reader") },
					"closed source":      func(_, src penstock.Conduit) { src.Close() },
					"closed destination": func(dst, src penstock.Conduit) { put(t, src, pattern(9)); dst.Close() },
				} {
					t.Run(verb+", "+state, func(t *testing.T) {
						src, dst := from(t, 1), to(t, 1)
						prepare(dst, src)
						_, err := promptly(t, func() (int, error) { return call(gone, dst, src) })
						if err == nil {
							t.Error("no error")
						}
						isOf(t, verb, err)
					})
				}
			}
		})
	})
}

// into brings a destination into a state.
func into(t *testing.T, p penstock.Conduit, state string) {
	switch state {
	case "full":
		put(t, p, pattern(p.Cap()))
	case "without a reader":
		if err := p.(verbs).CloseRead(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConformanceOrderOfFiles is the rest of that table: one side is no pipe.
func TestConformanceOrderOfFiles(t *testing.T) {
	slotted(t, func(t *testing.T, open opener) {
		for _, tt := range []struct {
			src, dst string
			want     result
		}{
			{"data", "empty", moved},
			{"data", "full", noRoom},
			{"data", "without a reader", noReader},
			{"ended", "empty", ended},
			{"ended", "full", noRoom},
			{"ended", "without a reader", noReader},
		} {
			data := map[string]string{"data": "abc", "ended": ""}[tt.src]
			for kind, r := range map[string]func(t *testing.T) io.Reader{
				"file":   func(t *testing.T) io.Reader { return fileWith(t, data) },
				"reader": func(*testing.T) io.Reader { return bytes.NewReader([]byte(data)) },
			} {
				t.Run(fmt.Sprintf("measured: splice %s %s to %s pipe", kind, tt.src, tt.dst), func(t *testing.T) {
					dst, src := open(t, 1), r(t)
					into(t, dst, tt.dst)
					n, err := promptly(t, func() (int, error) {
						return penstock.Splice(context.Background(), dst, src, 100, penstock.NonBlock)
					})
					tt.want.check(t, n, err)
					if rest, err := io.ReadAll(src); len(rest) != len(data)-n || err != nil {
						t.Errorf("%d bytes are left in the source, %v", len(rest), err)
					}
				})
			}
		}
		for kind, w := range map[string]func(t *testing.T) io.Writer{
			"file":   func(t *testing.T) io.Writer { return fileWith(t, "") },
			"writer": func(*testing.T) io.Writer { return new(bytes.Buffer) },
		} {
			for state, want := range map[string]result{"empty": noData, "data": moved, "ended": ended} {
				t.Run(fmt.Sprintf("measured: splice %s pipe to %s", state, kind), func(t *testing.T) {
					src := open(t, 1)
					switch state {
					case "data":
						put(t, src, []byte("abc"))
					case "ended":
						closeWrite(t, src)
					}
					n, err := promptly(t, func() (int, error) {
						return penstock.Splice(context.Background(), w(t), src, 100, penstock.NonBlock)
					})
					want.check(t, n, err)
				})
			}
		}
	})
}

func mixed(a, b penstock.Conduit) bool {
	_, x := a.(*penstock.Pipe)
	_, y := b.(*penstock.Pipe)
	return x != y
}

// TestConformanceEndIntoAFullPipe is the last line of the measured order that blocks: it waits for the room that it does
// not need, and must not spin meanwhile, nor outlive its context.
func TestConformanceEndIntoAFullPipe(t *testing.T) {
	slotted(t, func(t *testing.T, open opener) {
		for verb, call := range map[string]func(ctx context.Context, dst, src penstock.Conduit) (int, error){
			"splice": func(ctx context.Context, dst, src penstock.Conduit) (int, error) {
				return penstock.Splice(ctx, dst, src, 1, 0)
			},
			"tee": func(ctx context.Context, dst, src penstock.Conduit) (int, error) {
				return penstock.Tee(ctx, dst, src, 1, 0)
			},
		} {
			t.Run("measured: "+verb+" waits for room, and ends", func(t *testing.T) {
				src, dst := open(t, 1), open(t, 1)
				put(t, dst, pattern(pageSize))
				closeWrite(t, src)
				ctx, cancel := context.WithCancelCause(context.Background())
				cancel(errAbandoned)
				n, err := promptly(t, func() (int, error) { return call(ctx, dst, src) })
				result{0, errAbandoned, penstock.SideSink}.check(t, n, err)
				dst.Discard(pageSize)
				n, err = promptly(t, func() (int, error) { return call(context.Background(), dst, src) })
				ended.check(t, n, err)
			})
		}
	})
}

func TestConformanceArguments(t *testing.T) {
	slotted(t, func(t *testing.T, open opener) {
		ctx := context.Background()
		t.Run("measured: length 0 is 0, before anything is looked at", func(t *testing.T) {
			p := open(t, 1)
			p.Close()
			for _, ends := range [][2]any{{p, p}, {p, fileWith(t, "x")}, {fileWith(t, ""), p}, {fileWith(t, ""), fileWith(t, "x")}, {nil, nil}} {
				dst, _ := ends[0].(io.Writer)
				src, _ := ends[1].(io.Reader)
				if n, err := penstock.Splice(ctx, dst, src, 0, 0); n != 0 || err != nil {
					t.Errorf("splice: %d, %v", n, err)
				}
			}
			if n, err := penstock.Tee(ctx, p, p, 0, 0); n != 0 || err != nil {
				t.Errorf("tee: %d, %v", n, err)
			}
		})
		t.Run("splice(2): a negative length is EINVAL", func(t *testing.T) {
			p, q := open(t, 1), open(t, 1)
			if _, err := penstock.Splice(ctx, q, p, -1, 0); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("splice: %v", err)
			}
			if _, err := penstock.Tee(ctx, q, p, math.MinInt, 0); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("tee: %v", err)
			}
		})
		t.Run("gvisor splice.cc SamePipe, Tee SamePipe; ltp tee02: EINVAL", func(t *testing.T) {
			p := open(t, 2)
			put(t, p, []byte("abc"))
			for _, flags := range []penstock.Flags{0, penstock.NonBlock} {
				if n, err := penstock.Splice(ctx, p, p, 1, flags); n != 0 || !errors.Is(err, syscall.EINVAL) {
					t.Errorf("splice: %d, %v", n, err)
				}
				if n, err := penstock.Tee(ctx, p, p, 1, flags); n != 0 || !errors.Is(err, syscall.EINVAL) {
					t.Errorf("tee: %d, %v", n, err)
				}
			}
			take(t, p, []byte("abc"))
		})
		t.Run("gvisor splice.cc SamePipe, while it is empty", func(t *testing.T) {
			p := open(t, 1)
			_, err := promptly(t, func() (int, error) { return penstock.Splice(ctx, p, p, 1, 0) })
			if !errors.Is(err, syscall.EINVAL) {
				t.Errorf("splice: %v", err)
			}
		})
		t.Run("a length beyond the kernel's is cut", func(t *testing.T) {
			p, q := open(t, 2), open(t, 2)
			f := fileWith(t, "abc")
			n, err := penstock.Splice(ctx, p, f, math.MaxInt, penstock.NonBlock)
			moved.check(t, n, err)
			n, err = penstock.Tee(ctx, q, p, math.MaxInt, penstock.NonBlock)
			moved.check(t, n, err)
			n, err = penstock.Splice(ctx, f, q, math.MaxInt, penstock.NonBlock)
			moved.check(t, n, err)
			n, err = penstock.Splice(ctx, q, p, math.MaxInt, penstock.NonBlock)
			moved.check(t, n, err)
		})
	})
	t.Run("gvisor splice.cc TwoRegularFiles; ltp splice03: neither is a pipe", func(t *testing.T) {
		from, to := fileWith(t, "abc"), fileWith(t, "")
		n, err := penstock.Splice(context.Background(), to, from, 3, 0)
		if n != 0 || !errors.Is(err, penstock.ErrCannotSplice) {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("gvisor splice.cc NegativeOffset; ltp sendfile05: EINVAL", func(t *testing.T) {
		if _, err := penstock.ReadAhead(bytes.NewReader(nil), -1, 1); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v", err)
		}
	})
}
