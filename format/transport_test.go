package format_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// mux makes a transport stream, packet by packet.
type mux struct {
	bytes.Buffer
	counters map[int]byte
}

// es is a stream of a program, as its PMT lists it.
type es struct {
	pid         int
	kind        byte
	descriptors string
}

// What the packets of a unit may be besides its pieces.
const (
	random    = 1 << iota // random access is marked
	scrambled             // with the even key
	damaged
)

// packet writes one packet, which carries at most 184 bytes, and returns its offset.
func (m *mux) packet(pid int, start bool, flags int, payload []byte) int {
	off := m.Len()
	if m.counters == nil {
		m.counters = make(map[int]byte)
	}
	p := [188]byte{0x47, byte(pid >> 8), byte(pid), 0x10 | m.counters[pid]}
	m.counters[pid] = (m.counters[pid] + 1) & 15
	if start {
		p[1] |= 0x40
	}
	if flags&damaged != 0 {
		p[1] |= 0x80
	}
	if flags&scrambled != 0 {
		p[3] |= 0x80
	}
	if n := 184 - len(payload); n > 0 || flags&random != 0 {
		p[3] |= 0x20
		p[4] = byte(n - 1)
		for i := 6; i < 4+n; i++ {
			p[i] = 0xff
		}
		if flags&random != 0 {
			p[5] = 0x40
		}
	}
	copy(p[188-len(payload):], payload)
	m.Write(p[:])
	return off
}

// unit writes a unit of a stream, in as many packets as it takes, and returns its offset.
func (m *mux) unit(pid, flags int, b []byte) int {
	off := m.Len()
	for start := true; start || len(b) > 0; start = false {
		n := min(len(b), 182) // room for the flags
		m.packet(pid, start, flags, b[:n])
		b, flags = b[n:], flags&^random
	}
	return off
}

// sections writes whole sections on a PID, filled up with 0xff.
func (m *mux) sections(pid int, b ...[]byte) int {
	off := m.Len()
	all := append([]byte{0}, bytes.Join(b, nil)...)
	for start := true; len(all) > 0; start = false {
		n := min(len(all), 184)
		m.packet(pid, start, 0, append(all[:n:n], bytes.Repeat([]byte{0xff}, 184-n)...))
		all = all[n:]
	}
	return off
}

// crc is the CRC of a section, bit by bit as the standard draws it.
func crc(b []byte) uint32 {
	register := ^uint32(0)
	for _, c := range b {
		for bit := 7; bit >= 0; bit-- {
			high := register>>31 ^ uint32(c>>bit&1)
			register = register<<1 ^ high*0x04c11db7
		}
	}
	return register
}

func section(table byte, number int, version byte, body []byte) []byte {
	b := []byte{table, 0, 0, byte(number >> 8), byte(number), 0xc1 | version<<1, 0, 0}
	b = append(b, body...)
	binary.BigEndian.PutUint16(b[1:], 0xb000|uint16(len(b)+4-3))
	return binary.BigEndian.AppendUint32(b, crc(b))
}

// pat lists programs, each number followed by the PID of its PMT.
func pat(version byte, programs ...int) []byte {
	var b []byte
	for i, v := range programs {
		b = binary.BigEndian.AppendUint16(b, uint16(v)|uint16(i%2)*0xe000)
	}
	return section(0, 1, version, b)
}

func pmt(number int, version byte, streams ...es) []byte {
	b := []byte{0xe1, 0x00, 0xf0, 0x02, 0x52, 0x00} // a PCR PID, and one descriptor
	for _, s := range streams {
		b = append(b, s.kind, 0xe0|byte(s.pid>>8), byte(s.pid), 0xf0|byte(len(s.descriptors)>>8), byte(len(s.descriptors)))
		b = append(b, s.descriptors...)
	}
	return section(2, number, version, b)
}

// pes is a PES packet with a time stamp, and that payload.
func pes(payload string) []byte {
	return append([]byte("\x00\x00\x01\xe0\x00\x00\x80\x80\x05\x21\x00\x01\x00\x01"), payload...)
}

const (
	h264  = 0x1b
	h265  = 0x24
	mpeg2 = 0x02
	aac   = 0x0f
)

// tables writes what a program with these streams needs, on PID 0x100.
func (m *mux) tables(streams ...es) {
	m.sections(0, pat(0, 1, 0x100))
	m.sections(0x100, pmt(1, 0, streams...))
}

// picture is one of some length that says nothing of itself.
var picture = pes(string(bytes.Repeat([]byte{0xaa}, 700)))

func steadyTransport(packets int) []byte {
	var m mux
	for m.Len() < packets*188 {
		m.tables(es{pid: 0x101, kind: h264}, es{pid: 0x102, kind: aac})
		m.unit(0x101, random, picture)
		for range 24 {
			m.unit(0x101, 0, bytes.Repeat(picture, 4))
			m.unit(0x102, random, picture)
		}
	}
	return m.Bytes()
}

// anyTransport is a transport stream of many kinds of packets, in part broken.
func anyTransport(r *rand.Rand, units int) []byte {
	var m mux
	garbage := func() {
		for range r.IntN(300) {
			m.WriteByte("\x47\x00\x01"[r.IntN(3)])
		}
	}
	garbage()
	streams := []es{{pid: 0x201, kind: h264}, {pid: 0x202, kind: aac}, {pid: 0x203, kind: 6, descriptors: "\x05\x04HEVC"}}
	tables := func() {
		m.sections(0, pat(byte(r.IntN(2)), 1, 0x100, 2, 0x100, 3, 0x110))
		v := byte(r.IntN(2))
		long := es{pid: 0x204, kind: mpeg2, descriptors: string(make([]byte, 200))}
		m.sections(0x100, pmt(1, v, streams...), pmt(2, v, long))
		m.sections(0x110, pmt(3, v, es{pid: 0x205, kind: byte(r.IntN(40))}))
	}
	tables()
	m.unit(0x201, random, picture)
	for range units {
		switch r.IntN(12) {
		case 0:
			tables()
		case 1:
			if r.IntN(4) == 0 {
				garbage()
			}
		case 2:
			m.packet(0x201+r.IntN(5), r.IntN(2) == 0, r.IntN(8), nil)
		case 3:
			m.unit(0x204, 0, pes("\x00\x00\x01\xb3"))
		case 4:
			m.unit(0x201, 0, pes("\x00\x00\x01\x67"))
		case 5:
			m.Truncate(m.Len() - r.IntN(188))
		default:
			m.unit(0x201+r.IntN(5), r.IntN(16), picture)
		}
	}
	tables()
	for range 6 {
		m.unit(0x201, random, picture)
	}
	return m.Bytes()
}

func TestAViewerJoinsAtAMarkedPicture(t *testing.T) {
	var m mux
	early := m.unit(0x101, random, picture)
	m.sections(0x100, pmt(1, 0, es{pid: 0x101, kind: h264}))
	tables := m.Len()
	m.tables(es{pid: 0x102, kind: aac}, es{pid: 0x101, kind: h264})
	m.packet(0x101, false, random, picture[:100])
	m.unit(0x102, random, picture)
	m.unit(0x101, random|damaged, picture)
	want := []int{m.unit(0x101, random, picture)}
	m.unit(0x101, 0, picture)
	m.sections(0, pat(0, 1, 0x100))
	m.sections(0x100, pmt(1, 0, es{pid: 0x102, kind: aac}, es{pid: 0x101, kind: h264}))
	want = append(want, m.unit(0x101, random|scrambled, picture))
	end := m.Len()
	m.Write([]byte{0x47, 0x01})

	runs := scan(t, transportStream, m.Bytes(), byteByByte)
	if got := joins(runs); !slices.Equal(got, want) {
		t.Errorf("join points are %v, want %v; %d is before the tables", got, want, early)
	}
	header := m.Bytes()[tables : tables+2*188]
	for _, r := range runs {
		switch {
		case r.end <= want[0] && r.header != nil:
			t.Fatalf("there is a header before a join point")
		case r.end > want[0] && !bytes.Equal(r.header, header):
			t.Fatalf("at %d the header is %x", r.end, r.header)
		}
	}
	if first, last := runs[len(runs)-1].header, runs[want[0]+188].header; &first[0] != &last[0] {
		t.Error("tables that are but repeated made a new header")
	}
	one := scan(t, transportStream, m.Bytes(), inOne)
	if len(one) != 1 || one[0].join != want[1] || one[0].cut != 0 || one[0].end != end {
		t.Errorf("in one run: %+v; want join %d, cut 0, end %d", one, want[1], end)
	}
}

func TestAnUnmarkedPictureIsLookedInto(t *testing.T) {
	sei := "\x00\x00\x00\x01\x06" + string(bytes.Repeat([]byte{0x55}, 30))
	for _, tc := range []struct {
		name    string
		stream  es
		payload string
		want    bool
	}{
		{"H.264 IDR", es{kind: h264}, "\x00\x00\x00\x01\x09\xf0\x00\x00\x01\x65", true},
		{"H.264 parameter set behind SEI", es{kind: h264}, sei + "\x00\x00\x01\x27", true},
		{"H.264 P", es{kind: h264}, "\x00\x00\x00\x01\x09\xf0\x00\x00\x01\x41\x00\x00\x01\x65", false},
		{"H.264 ends in a start code", es{kind: h264}, "\x00\x00\x01", false},
		{"H.265 parameter set", es{kind: h265}, "\x00\x00\x00\x01\x46\x01\x00\x00\x01\x40\x01", true},
		{"H.265 CRA", es{kind: h265}, "\x00\x00\x01\x2a\x01", true},
		{"H.265 trailing", es{kind: h265}, "\x00\x00\x01\x02\x01\x00\x00\x01\x40", false},
		{"H.265 as private", es{kind: 6, descriptors: "\x0a\x04eng\x00\x05\x04HEVC"}, "\x00\x00\x01\x26\x01", true},
		{"MPEG-2 sequence", es{kind: mpeg2}, "\x00\x00\x01\xb3", true},
		{"MPEG-2 group without sequence", es{kind: mpeg2}, "\x00\x00\x01\xb8\x00\x00\x00\x00\x00\x00\x01\x00", false},
		{"MPEG-1 sequence", es{kind: 1}, "\x00\x00\x01\xb3", true},
		{"AV1 is not looked into", es{kind: 6, descriptors: "\x05\x04AV01"}, "\x00\x00\x01\x65", false},
		{"nothing", es{kind: h264}, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m mux
			tc.stream.pid = 0x101
			m.tables(tc.stream, es{pid: 0x102, kind: aac})
			var want []int
			if off := m.unit(0x101, 0, pes(tc.payload)); tc.want {
				want = append(want, off)
			}
			m.unit(0x101, scrambled, pes(tc.payload))
			m.unit(0x102, random, picture)
			if got := joins(scan(t, transportStream, m.Bytes(), byteByByte)); !slices.Equal(got, want) {
				t.Errorf("join points are %v, want %v", got, want)
			}
		})
	}
}

func TestAProgramWithoutVideoIsJoinedAtItsAudio(t *testing.T) {
	var m mux
	m.tables(es{pid: 0x105, kind: 0x15}, es{pid: 0x101, kind: aac}, es{pid: 0x102, kind: aac})
	want := []int{m.unit(0x101, 0, picture)}
	m.unit(0x102, random, picture)
	want = append(want, m.unit(0x101, 0, picture), m.unit(0x101, random, picture))
	m.unit(0x101, 0, picture) // not any more: it does mark them
	want = append(want, m.unit(0x101, random, picture))
	if got := joins(scan(t, transportStream, m.Bytes(), byteByByte)); !slices.Equal(got, want) {
		t.Errorf("join points are %v, want %v", got, want)
	}

	m = mux{}
	m.tables(es{pid: 0x105, kind: 0x15}, es{pid: 0x106, kind: 0x05})
	m.unit(0x106, random, picture)
	want = []int{m.unit(0x105, random, picture)}
	m.unit(0x106, random, picture)
	if got := joins(scan(t, transportStream, m.Bytes(), byteByByte)); !slices.Equal(got, want) {
		t.Errorf("with data alone, join points are %v, want %v", got, want)
	}
}

func TestAnyProgramsVideoCounts(t *testing.T) {
	var m mux
	pats := m.sections(0, pat(0, 0, 0x10, 1, 0x100, 2, 0x100, 3, 0x110, 4, 0x120))
	m.sections(0x110, pmt(3, 0, es{pid: 0x301, kind: aac}))
	want := []int{m.unit(0x301, random, picture)} // it is the only program known
	both := m.sections(0x100, pmt(1, 0, es{pid: 0x101, kind: h264}), pmt(2, 0, es{pid: 0x201, kind: h265}))
	m.unit(0x301, random, picture)
	want = append(want, m.unit(0x101, random, picture), m.unit(0x201, random, picture))
	runs := scan(t, transportStream, m.Bytes(), byteByByte)
	if got := joins(runs); !slices.Equal(got, want) {
		t.Errorf("join points are %v, want %v", got, want)
	}
	// Two tables share a packet, which may be sent twice.
	shared := m.Bytes()[both : both+188]
	header := slices.Concat(m.Bytes()[pats:pats+188], shared, shared, m.Bytes()[pats+188:pats+2*188])
	if got := runs[len(runs)-1].header; !bytes.Equal(got, header) {
		t.Errorf("header is %x, want %x", got, header)
	}
}

func TestTablesChange(t *testing.T) {
	var m mux
	m.tables(es{pid: 0x101, kind: h264})
	want := []int{m.unit(0x101, random, picture)}

	broken := pmt(1, 1, es{pid: 0x102, kind: h264})
	broken[len(broken)-1]++
	m.sections(0x100, broken)
	notYet := section(2, 1, 1, pmt(1, 1, es{pid: 0x102, kind: h264})[8:17])
	notYet[5] &^= 1
	binary.BigEndian.PutUint32(notYet[len(notYet)-4:], crc(notYet[:len(notYet)-4]))
	m.sections(0x100, notYet)
	m.sections(0x100, pmt(7, 1, es{pid: 0x102, kind: h264}))
	m.unit(0x102, random, picture)
	want = append(want, m.unit(0x101, random, picture))

	m.sections(0x100, pmt(1, 1, es{pid: 0x102, kind: h264}))
	m.unit(0x101, random, picture)
	want = append(want, m.unit(0x102, random, picture))

	m.sections(0, pat(1, 1, 0x100, 2, 0x300)) // another program joins the first
	want = append(want, m.unit(0x102, random, picture))

	m.sections(0, pat(2, 1, 0x200))
	m.unit(0x102, random, picture) // the program's new table is not known
	m.sections(0x100, pmt(1, 2, es{pid: 0x103, kind: h264}))
	m.unit(0x103, random, picture)
	last := m.sections(0x200, pmt(1, 2, es{pid: 0x104, kind: h264}))
	want = append(want, m.unit(0x104, random, picture))

	runs := scan(t, transportStream, m.Bytes(), byteByByte)
	if got := joins(runs); !slices.Equal(got, want) {
		t.Errorf("join points are %v, want %v", got, want)
	}
	if h := runs[len(runs)-1].header; len(h) != 2*188 || !bytes.Equal(h[188:], m.Bytes()[last:last+188]) {
		t.Errorf("header is %x", h)
	}
}

// TestATableSpansPackets sends a PMT of 1 kB in six packets, and once more with the first one lost, with one lost on
// the way, and with one sent twice.
func TestATableSpansPackets(t *testing.T) {
	var streams []es
	for i := range 20 {
		streams = append(streams, es{pid: 0x101 + i, kind: h264, descriptors: string(bytes.Repeat([]byte{byte(i)}, 42))})
	}
	var table mux
	table.sections(0x100, pmt(1, 0, streams...))
	whole := table.Bytes()
	if len(whole) != 6*188 {
		t.Fatalf("the table takes %d bytes", len(whole))
	}
	twice := slices.Concat(whole[:2*188], whole[188:])
	for _, tc := range []struct {
		name          string
		table, header []byte
	}{
		{"whole", whole, whole},
		{"without the first", whole[188:], nil},
		{"without the third", slices.Concat(whole[:2*188], whole[3*188:]), nil},
		{"with the second twice", twice, whole},
		{"with the first twice", slices.Concat(whole[:188], whole), whole},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m mux
			m.sections(0, pat(0, 1, 0x100))
			association := bytes.Clone(m.Bytes())
			m.Write(tc.table)
			m.unit(0x114, random, picture) // not its first video
			off := m.unit(0x101, random, picture)
			var want []int
			if tc.header != nil {
				want = append(want, off)
				tc.header = slices.Concat(association, tc.header)
			}
			runs := scan(t, transportStream, m.Bytes(), byteByByte)
			if got := joins(runs); !slices.Equal(got, want) {
				t.Errorf("join points are %v, want %v", got, want)
			}
			if got := runs[len(runs)-1].header; !bytes.Equal(got, tc.header) {
				t.Errorf("header is %x, want %x", got, tc.header)
			}
		})
	}
}

// TestASectionEndsWhereTheNextBegins has the PMT end in the packet in which another one begins, which the pointer field
// of that packet tells.
func TestASectionEndsWhereTheNextBegins(t *testing.T) {
	long := pmt(1, 0, es{pid: 0x101, kind: h264, descriptors: string(make([]byte, 200))})
	var m mux
	m.sections(0, pat(0, 1, 0x100))
	m.packet(0x100, true, 0, append([]byte{0}, long[:183]...))
	other := pmt(9, 0)
	rest := append([]byte{byte(len(long) - 183)}, long[183:]...)
	rest = append(rest, other...)
	m.packet(0x100, true, 0, append(rest, bytes.Repeat([]byte{0xff}, 184-len(rest))...))
	header := bytes.Clone(m.Bytes())
	want := []int{m.unit(0x101, random, picture), m.unit(0x101, random, picture)}
	runs := scan(t, transportStream, m.Bytes(), byteByByte)
	if got := joins(runs); !slices.Equal(got, want) {
		t.Errorf("join points are %v, want %v", got, want)
	}
	if got := runs[len(runs)-1].header; !bytes.Equal(got, header) {
		t.Errorf("header is %x, want %x", got, header)
	}
}

func TestASectionThatIsTooLongIsNotWaitedFor(t *testing.T) {
	var m mux
	m.sections(0, pat(0, 1, 0x100))
	private := bytes.Repeat([]byte{0x47}, 4096)
	private[0], private[1], private[2] = 0x80, 0xbf, 0xfd
	m.sections(0x100, private)
	m.sections(0x100, pmt(1, 0, es{pid: 0x102, kind: h264, descriptors: string(make([]byte, 3000))}))
	m.unit(0x102, random, picture)
	m.sections(0x100, pmt(1, 0, es{pid: 0x101, kind: h264}))
	want := []int{m.unit(0x101, random, picture)}
	if got := joins(scan(t, transportStream, m.Bytes(), byteByByte)); !slices.Equal(got, want) {
		t.Errorf("join points are %v, want %v", got, want)
	}
}

func TestPacketsAreFoundAgain(t *testing.T) {
	var m mux
	m.WriteString("G as in garbage")
	cut := m.Len()
	m.tables(es{pid: 0x101, kind: h264})
	m.unit(0x101, 0, picture)
	want := []int{m.unit(0x101, random, picture)}
	m.Truncate(m.Len() - 100)      // bytes are lost,
	m.packet(0x101, false, 0, nil) // and so is the packet that stands where they were
	again := m.unit(0x101, random, picture)
	want = append(want, again)
	m.unit(0x101, 0, picture)

	b := m.Bytes()
	if got := joins(scan(t, transportStream, b, byteByByte)); !slices.Equal(got, want) {
		t.Errorf("join points are %v, want %v", got, want)
	}
	runs := scan(t, transportStream, b, inOne)
	if r := runs[0]; r.cut != cut || r.join != again || r.end != len(b) {
		t.Errorf("in one run: cut %d, join %d, end %d; want %d, %d, %d", r.cut, r.join, r.end, cut, again, len(b))
	}
	for _, r := range scan(t, transportStream, bytes.Repeat([]byte("no sync"), 2000), func() int { return 1000 }) {
		if r.end-r.off != 1000 || r.cut >= 0 || r.join >= 0 {
			t.Fatalf("of no packets at all: %+v", r)
		}
	}
}
