package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/penstock-io/penstock/relay"
)

// stranger is a connection of which both sides say a stream that is like no other's, so that a byte which is another's
// is found wherever it turns up. It says first which one it is, so that the target knows.
type stranger struct {
	id, size uint32
	way      string
	at       int // where it goes its way, in a stream; 1 or more
}

// ways are those that a stranger goes.
var ways = []struct{ name, end string }{
	{"both say all", "--"},
	{"the client resets as it speaks", "CD"},
	{"the client resets as it listens", "CD"},
	{"the target resets as it speaks", "SD"},
	{"the target resets as it listens", "SD"},
	{"killed", "KD"},
}

func newStranger(rng *rand.Rand, id uint32) (s stranger, end string) {
	way := ways[rng.IntN(len(ways))]
	size := 1 + rng.IntN(1<<(9*rng.IntN(3))) // a byte, some, or many: those are spliced
	return stranger{id, uint32(size), way.name, 1 + rng.IntN(size)}, way.end
}

// says is what it says in one direction.
func (s stranger) says(d relay.Direction) []byte {
	b := make([]byte, s.size)
	_, _ = rand.NewChaCha8([32]byte{byte(s.id), byte(s.id >> 8), byte(d)}).Read(b)
	if d == relay.Forward {
		return append(s.name(), b...)
	}
	return b
}

const nameSize = 4

func (s stranger) name() []byte { return binary.BigEndian.AppendUint32(nil, s.id) }

// talk says and hears until all is said, or the stranger goes its way. Nothing that it hears may be another's.
func (s stranger) talk(t *testing.T, who string, c *net.TCPConn, says, hears []byte, leave func()) {
	leaves := s.way == who+" resets as it listens" || s.way == "killed" && who == "the client"
	var speaking sync.WaitGroup
	speaking.Go(func() {
		if s.way == who+" resets as it speaks" {
			_, _ = c.Write(says[:s.at])
			leave()
		} else if _, err := c.Write(says); err == nil && !leaves {
			_ = c.CloseWrite()
		}
	})
	most := len(hears) + 1 // of which there is none
	if leaves {
		most = s.at
	}
	got, err := io.ReadAll(io.LimitReader(c, int64(most)))
	if leaves {
		leave()
	}
	speaking.Wait()
	if whole := s.way == "both say all"; whole && (err != nil || len(got) != len(hears)) || !bytes.HasPrefix(hears, got) {
		t.Errorf("%s of %+v has heard %d bytes of %d, or others: %v", who, s, len(got), len(hears), err)
	}
}

// strangersCome is a target that knows all of them.
func strangersCome(t *testing.T, all []stranger) (addr string) {
	return server(t, func(c *net.TCPConn) {
		name := make([]byte, nameSize)
		if _, err := io.ReadFull(c, name); err != nil {
			return // it was reset before
		}
		id := binary.BigEndian.Uint32(name)
		if int(id) >= len(all) {
			t.Errorf("nobody is called %x", name)
			return
		}
		s := all[id]
		s.talk(t, "the target", c, s.says(relay.Backward), s.says(relay.Forward)[nameSize:], func() { reset(c) })
	})
}

// strangersGo has them come to a relay, so many at a time, and returns whose record is which.
func strangersGo(t *testing.T, r *running, all []stranger, atATime int) map[netip.AddrPort]stranger {
	var mu sync.Mutex
	known := make(map[netip.AddrPort]stranger)
	meet := func(s stranger) {
		c := dial(t, r.addr)
		defer c.Close()
		from := c.LocalAddr().(*net.TCPAddr).AddrPort()
		mu.Lock()
		known[from] = s
		mu.Unlock()
		leave := func() { reset(c) }
		if s.way == "killed" {
			leave = func() { kill(r, from) }
		}
		s.talk(t, "the client", c, s.says(relay.Forward), s.says(relay.Backward), leave)
	}
	var crowd sync.WaitGroup
	for first := range atATime {
		crowd.Go(func() {
			for i := first; i < len(all); i += atATime {
				meet(all[i])
			}
		})
	}
	crowd.Wait()
	return known
}

// toFiles opens a file for each direction of each connection.
func toFiles(dir string) openFunc {
	return func(_ context.Context, c relay.Info, d relay.Direction) (io.WriteCloser, error) {
		return os.Create(filepath.Join(dir, fmt.Sprint(c.ID, ".", d)))
	}
}

// TestNobodyHearsWhatIsAnothers nor does a mirror, whoever leaves beside them, wherever in a stream, and however: what
// is left in a pipe then is nobody's. Nobody is cut off who does not go.
func TestNobodyHearsWhatIsAnothers(t *testing.T) {
	leaving := to(server(t, func(c *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, c, rand.Int64N(100_000))
		reset(c)
	}))
	for _, noSplice := range []bool{false, true} {
		for mirrors := range 3 {
			t.Run(fmt.Sprintf("NoSplice=%v, %d mirrors", noSplice, mirrors), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(mirrors), 7))
				var all []stranger
				ends := make(map[uint32]string)
				for i := range uint32(100) {
					s, end := newStranger(rng, i)
					all, ends[i] = append(all, s), end
				}
				dir := t.TempDir()
				r := run(t, relay.Config{
					NoSplice: noSplice, Targets: []relay.Target{{Address: strangersCome(t, all)}},
					Mirrors: []relay.Mirror{
						{Name: "files", Queue: 64 << 20, Open: toFiles(dir)}, {Name: "leaves", Open: leaving},
					}[:mirrors],
				})
				known := strangersGo(t, r, all, 12)
				var records []relay.Record
				for range all {
					records = append(records, r.ended(t))
				}
				if err := r.Shutdown(t.Context()); err != nil { // files are closed
					t.Error(err)
				}
				for _, rec := range records {
					s := known[rec.From]
					if rec.End != ends[s.id] {
						t.Errorf("%+v: %v", s, rec)
					}
					if mirrors > 0 {
						hasMirrored(t, dir, s, rec, mirrors == 1)
					}
				}
			})
		}
	}
}

// kill ends the connection of a client, if it is not over.
func kill(r *running, from netip.AddrPort) {
	for _, rec := range r.Connections() {
		if rec.From == from {
			r.Kill(rec.ID)
		}
	}
}

// hasMirrored requires that files have of a stranger what went through, and of nobody else anything. What they lack of
// one that was killed is counted.
func hasMirrored(t *testing.T, dir string, s stranger, rec relay.Record, only bool) {
	had := int64(0)
	for _, d := range []relay.Direction{relay.Forward, relay.Backward} {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(rec.ID, ".", d)))
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		had += int64(len(got))
		says := s.says(d)
		if rec.End == "--" && len(got) != len(says) || !bytes.HasPrefix(says, got) {
			t.Errorf("%v: %d bytes of %d are mirrored, or others: %v", d, len(got), len(says), rec)
		}
	}
	least := rec.Forward + rec.Backward
	if s.way == "killed" {
		least -= rec.Lost
	}
	if had < least || only && (rec.Mirrored != had || rec.Lost != 0 && s.way != "killed") {
		t.Errorf("%d bytes are mirrored: %v", had, rec)
	}
}
