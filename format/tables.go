package format

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"iter"
	"math/bits"
	"slices"
)

// The tables of a transport stream come in sections of up to 1024 bytes, which may span packets:
//
//	byte 0   table: 0 PAT, 2 PMT
//	     1   0x80 what follows has this syntax  0x0f length behind byte 2, high bits
//	     2   length, low bits
//	     3   PMT: program number (2 bytes)
//	     5   0x3e version  0x01 current
//	     6   section number, and the number of the last one
//	     8   PAT: for each program its number (2 bytes) and the PID of its PMT (2 bytes)
//	     8   PMT: PCR PID, then length of the descriptors (each 2 bytes, 12 bits used), the descriptors, and for each
//	         stream its type (1 byte), PID, length of its descriptors, and these
//	    -4   CRC
const (
	patPID  = 0
	nullPID = pids - 1

	// sectionPackets is how many packets a section may span: 7 do where nothing but the section is in them. One that
	// spans more is of another kind, and is dropped.
	sectionPackets = 12

	// maxPrograms is how many programs of a multiplex are looked at, the first ones of its PAT. It bounds the header.
	maxPrograms = 32
)

// table is a section that a header is made of.
type table struct {
	section []byte // nil before it was seen
	packets []byte // that it came in when it was new
}

// program is an entry of the PAT.
type program struct {
	table         // its PMT
	number uint16 // not 0
	pid    uint16 // of its PMT
}

// tables are the newest PAT, and the newest PMT of each of its programs. A PAT of several sections is not looked at:
// one has room for 253 programs.
type tables struct {
	pat      table
	programs []program
	sections []*assembler // the PAT's, then one for each PID that PMTs come on
	changed  bool         // since the header was made
}

func (t *tables) init() { t.sections = []*assembler{newAssembler(patPID)} }

// header returns the packets with the PAT and each PMT. Each table comes in the packets in which its present contents
// were first seen, so that a table that is but repeated does not make a new header. Continuity counters are as they
// were.
func (t *tables) header() []byte {
	t.changed = false
	h := slices.Clone(t.pat.packets)
	for _, p := range t.programs {
		h = append(h, p.packets...)
	}
	return slices.Clip(h)
}

// packet takes a packet with sections, and tells whether a table changed.
func (t *tables) packet(packet []byte) bool {
	const start = 0x40
	a := t.assembler(pidAt(packet[1:]))
	b := payload(packet)
	if a == nil || len(b) == 0 {
		return false
	}
	starts := packet[1]&start != 0
	previous, counter := a.counter, packet[3]&0x0f
	if counter == previous && !starts {
		return false // a packet may be sent twice; that one is missing, the CRC tells
	}
	a.counter = counter
	if !starts {
		_, changed := t.add(a, packet, b)
		return changed
	}

	// The first byte tells how many bytes still belong to a section that started earlier.
	pointer := int(b[0])
	b = b[1:]
	if pointer > len(b) {
		a.drop()
		return false
	}
	_, changed := t.add(a, packet, b[:pointer])
	for b = b[pointer:]; len(b) > 0 && b[0] != 0xff; { // 0xff is stuffing, up to the packet's end
		a.begin()
		n, c := t.add(a, packet, b)
		b, changed = b[n:], changed || c
	}
	return changed
}

// add gives an assembler the piece b of a section, from a packet. It returns how many bytes belong to the section, and
// whether it was its last piece and changed a table.
func (t *tables) add(a *assembler, packet, b []byte) (int, bool) {
	n, whole := a.add(packet, b)
	if !whole {
		return n, false
	}
	changed := false
	if a.pid == patPID {
		changed = t.association(a)
	} else {
		changed = t.programMap(a)
	}
	a.drop()
	t.changed = t.changed || changed
	return n, changed
}

func (t *tables) assembler(pid uint16) *assembler {
	for _, a := range t.sections {
		if a.pid == pid {
			return a
		}
	}
	return nil
}

// association takes a whole section from the PAT's PID, and tells whether it is a new PAT.
func (t *tables) association(a *assembler) bool {
	const id = 0
	if bytes.Equal(a.section, t.pat.section) || !valid(a.section, id) {
		return false
	}
	t.pat = a.table()
	old := t.programs
	t.programs = nil
	for b := t.pat.section[8 : len(t.pat.section)-4]; len(b) >= 4 && len(t.programs) < maxPrograms; b = b[4:] {
		p := program{number: binary.BigEndian.Uint16(b), pid: pidAt(b[2:])}
		if p.number == 0 || p.pid < 0x10 || p.pid == nullPID { // 0 has a table of its own kind; PIDs below are reserved
			continue
		}
		same := func(o program) bool { return o.number == p.number && o.pid == p.pid }
		if slices.ContainsFunc(t.programs, same) {
			continue
		}
		if i := slices.IndexFunc(old, same); i >= 0 {
			p = old[i]
		}
		t.programs = append(t.programs, p)
	}
	t.sections = slices.DeleteFunc(t.sections, func(a *assembler) bool {
		return a.pid != patPID && !slices.ContainsFunc(t.programs, func(p program) bool { return p.pid == a.pid })
	})
	for _, p := range t.programs {
		if t.assembler(p.pid) == nil {
			t.sections = append(t.sections, newAssembler(p.pid))
		}
	}
	return true
}

// programMap takes a whole section from a PMT's PID, and tells whether it is a new PMT of a program of the PAT.
func (t *tables) programMap(a *assembler) bool {
	const id = 2
	if len(a.section) < 12 {
		return false
	}
	number := binary.BigEndian.Uint16(a.section[3:])
	i := slices.IndexFunc(t.programs, func(p program) bool { return p.number == number && p.pid == a.pid })
	if i < 0 || bytes.Equal(a.section, t.programs[i].section) || !valid(a.section, id) {
		return false
	}
	t.programs[i].table = a.table()
	return true
}

// valid tells whether a whole section is the one and present section of a table.
func valid(b []byte, id byte) bool {
	const syntax, current = 0x80, 0x01
	return len(b) >= 12 && b[0] == id && b[1]&syntax != 0 && b[5]&current != 0 && b[6] == 0 && b[7] == 0 &&
		checksum(b) == 0
}

// mostSignificantFirst is the table of the CRC-32 that sections have: it is the usual one, with the bits in the other
// order.
var mostSignificantFirst = func() (t [256]uint32) {
	for i := range t {
		t[i] = bits.Reverse32(crc32.IEEETable[bits.Reverse8(uint8(i))])
	}
	return t
}()

// checksum is 0 for a section with its CRC.
func checksum(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc = crc<<8 ^ mostSignificantFirst[byte(crc>>24)^c]
	}
	return crc
}

// assembler puts together the sections of a PID.
type assembler struct {
	pid     uint16
	counter byte // of the last packet
	busy    bool // a section has begun
	section []byte
	packets []byte // in which it is, as far as it has come
}

func newAssembler(pid uint16) *assembler {
	const none = 0xff
	return &assembler{
		pid: pid, counter: none,
		section: make([]byte, 0, sectionPackets*packetSize),
		packets: make([]byte, 0, sectionPackets*packetSize),
	}
}

func (a *assembler) begin() { a.busy, a.section, a.packets = true, a.section[:0], a.packets[:0] }

func (a *assembler) drop() { a.busy = false }

// add takes the next piece of the section, which is in the packet, and returns how many of its bytes belong to the
// section, and whether it is whole now. Without a section under way, and when it gets too long, that is all of them.
func (a *assembler) add(packet, b []byte) (n int, whole bool) {
	const head = 3 // up to the length
	if !a.busy || len(a.packets) == cap(a.packets) {
		a.drop()
		return len(b), false
	}
	a.packets = append(a.packets, packet...)
	n = min(len(b), max(0, head-len(a.section)))
	a.section = append(a.section, b[:n]...)
	if len(a.section) < head {
		return n, false
	}
	size := head + lengthAt(a.section[1:])
	more := min(len(b)-n, size-len(a.section))
	a.section = append(a.section, b[n:n+more]...)
	return n + more, len(a.section) == size
}

func (a *assembler) table() table {
	return table{section: slices.Clone(a.section), packets: slices.Clone(a.packets)}
}

// stream is an elementary stream, as its program's PMT describes it.
type stream struct {
	pid         uint16
	kind        byte // stream_type
	descriptors []byte
}

// streams are those of a program whose PMT was seen.
func (p *program) streams() iter.Seq[stream] {
	return func(yield func(stream) bool) {
		if len(p.section) < 16 {
			return
		}
		const fixed = 5
		b := p.section[10 : len(p.section)-4]
		for b = b[min(2+lengthAt(b), len(b)):]; len(b) >= fixed; { // behind the descriptors of the program
			n := fixed + lengthAt(b[3:])
			if n > len(b) {
				return
			}
			s := stream{pid: pidAt(b[1:]), kind: b[0], descriptors: b[fixed:n]}
			if b = b[n:]; s.pid != nullPID && !yield(s) {
				return
			}
		}
	}
}

// leading returns the stream that a program is joined by, and its role: its first video stream, or else its first audio
// stream, or else its first stream of all.
func (p *program) leading() (lead stream, r role, ok bool) {
	audio := false
	for s := range p.streams() {
		if r := s.video(); r != ignored {
			return s, r, true
		}
		if !ok || !audio && s.audio() {
			lead, ok, audio = s, true, s.audio()
		}
	}
	return lead, leading, ok
}

// video returns what role a stream has for being video, or ignored. Layers that enhance another stream are not meant.
func (s stream) video() role {
	switch s.kind {
	case 0x01, 0x02:
		return videoMPEG
	case 0x1b:
		return videoH264
	case 0x24:
		return videoH265
	case 0x10, 0x21, 0x33, 0x42, 0xd1, 0xd2, 0xd4, 0xea: // MPEG-4 part 2, JPEG 2000, H.266, AVS, Dirac, AVS2, AVS3, VC-1
		return video
	case 0x06: // private: a registration descriptor may tell
		for b := s.descriptors; len(b) >= 2 && 2+int(b[1]) <= len(b); b = b[2+int(b[1]):] {
			if b[0] != 0x05 || b[1] < 4 {
				continue
			}
			switch string(b[2:6]) {
			case "HEVC":
				return videoH265
			case "AV01", "VC-1", "VVC ", "drac":
				return video
			}
		}
	}
	return ignored
}

func (s stream) audio() bool {
	switch s.kind {
	case 0x03, 0x04, 0x0f, 0x11, 0x1c, 0x81, 0x87: // MPEG-1 and MPEG-2, AAC in ADTS, LATM and alone, AC-3, E-AC-3
		return true
	}
	return false
}

// pidAt reads the PID in the low 13 of 16 bits.
func pidAt(b []byte) uint16 { return binary.BigEndian.Uint16(b) % pids }

// lengthAt reads the length in the low 12 of 16 bits.
func lengthAt(b []byte) int { return int(binary.BigEndian.Uint16(b) & 0x0fff) }
