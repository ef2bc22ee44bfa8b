package format

import (
	"bytes"
	"slices"
)

// An MPEG transport stream (ISO/IEC 13818-1) is a sequence of packets of 188 bytes, each of which begins with the sync
// byte and the number (PID) of the elementary stream or table that it carries a piece of:
//
//	byte 0   0x47
//	     1   0x80 damaged in transport  0x40 a unit (PES packet, section) starts here  0x1f PID, high bits
//	     2   PID, low bits
//	     3   0xc0 scrambled  0x20 adaptation field follows  0x10 payload follows  0x0f continuity counter
//	     4   length of the adaptation field behind this byte, if there is one
//	     5   its flags; 0x40 random access: the unit that starts here can be decoded without what came before
const (
	packetSize = 188
	syncByte   = 0x47
	pids       = 1 << 13
)

// syncRun is how many sync bytes in a row make a beginning: five, as ETSI TR 101 290 has it. Having them, one packet at
// a time is believed, until one does not begin with a sync byte.
const syncRun = 5

// transport scans an MPEG transport stream.
//
// Its units are packets. A join point is a packet in which a random access point begins, of the first video stream of
// any program; where no known program has video, of a program's first audio stream, or its first of all. The packet
// itself is the join point, also where tables stand immediately before it: Header brings the program association table
// (PAT) and the program map tables (PMT) of the programs known so far, so there are none before a PAT and a PMT have
// been seen.
//
// A random access point is where the packet says so. Of H.264, H.265, MPEG-1 and MPEG-2 video it is also a PES packet
// that is seen to begin with one, as not every publisher marks them: with an IDR picture, a parameter set or a sequence
// header. Only the first packet's payload is looked at, some 150 bytes: what stands behind longer SEI messages is not
// found. An audio stream that never marked one may be joined at each PES packet.
type transport struct {
	synced bool       // the next run begins with a packet
	roles  [pids]role // of PIDs
	tables tables
	header []byte
}

// role is what the scanner wants with a PID's packets.
type role uint8

const (
	ignored   role = iota
	tabular        // PAT and PMT
	video          // of a kind that is not looked into
	videoMPEG      // MPEG-1 and MPEG-2
	videoH264
	videoH265
	leading       // of a program without video
	leadingMarked // and marks its random access points
)

func newTransport() *transport {
	t := new(transport)
	t.roles[patPID] = tabular
	t.tables.init()
	return t
}

func (t *transport) Header() []byte { return t.header }

func (t *transport) Scan(run []byte) (join, cut, end int) {
	join, cut = -1, -1
	for p := 0; ; {
		if !t.synced {
			p, t.synced = findSync(run, p)
			if !t.synced {
				return join, cut, p
			}
		}
		for ; len(run)-p >= packetSize && run[p] == syncByte; p += packetSize {
			if cut < 0 {
				cut = p
			}
			role := t.roles[int(run[p+1]&0x1f)<<8|int(run[p+2])]
			if role != ignored && t.packet(role, run[p:p+packetSize]) {
				join = p
			}
		}
		if p == len(run) || run[p] == syncByte {
			return join, cut, p
		}
		t.synced = false
	}
}

// findSync returns where packets begin, at p or behind it; or else where to go on with more bytes.
func findSync(run []byte, p int) (int, bool) {
	for {
		i := bytes.IndexByte(run[p:], syncByte)
		if i < 0 {
			return len(run), false
		}
		p += i
		n := 1
		for n < syncRun && p+n*packetSize < len(run) && run[p+n*packetSize] == syncByte {
			n++
		}
		if n == syncRun {
			return p, true
		}
		if p+n*packetSize >= len(run) {
			return p, false
		}
		p++
	}
}

// packet takes notice of a packet, and tells whether it is a join point.
func (t *transport) packet(r role, packet []byte) bool {
	const damaged, start = 0x80, 0x40
	if packet[1]&damaged != 0 {
		return false
	}
	if r == tabular {
		if t.tables.packet(packet) {
			t.assign()
		}
		return false
	}
	if packet[1]&start == 0 || !t.randomAccess(r, packet) {
		return false
	}
	if t.header == nil || t.tables.changed {
		t.header = t.tables.header()
	}
	return true
}

// randomAccess tells whether what starts in a packet can be decoded without what came before.
func (t *transport) randomAccess(r role, packet []byte) bool {
	const adaptation, random, scrambled = 0x20, 0x40, 0xc0
	marked := packet[3]&adaptation != 0 && packet[4] > 0 && packet[5]&random != 0
	switch {
	case r == leading && marked:
		t.roles[pidAt(packet[1:])] = leadingMarked
		return true
	case marked, r == leading:
		return true
	case r == leadingMarked, packet[3]&scrambled != 0:
		return false
	}
	return beginsIntra(r, payload(packet))
}

// payload returns what a packet carries, which may be nothing.
func payload(packet []byte) []byte {
	const adaptation, carries = 0x20, 0x10
	if packet[3]&carries == 0 {
		return nil
	}
	if packet[3]&adaptation == 0 {
		return packet[4:]
	}
	return packet[min(5+int(packet[4]), len(packet)):]
}

// beginsIntra tells whether a PES packet of video is seen to begin with what a decoder can begin with.
func beginsIntra(r role, pes []byte) bool {
	startCode := []byte{0, 0, 1}
	const fixed = 9 // bytes of a PES header; the last is the length of the rest
	if !bytes.HasPrefix(pes, startCode) || len(pes) < fixed {
		return false
	}
	es := pes[min(fixed+int(pes[fixed-1]), len(pes)):]
	for {
		i := bytes.Index(es, startCode)
		if i < 0 || i+len(startCode) == len(es) {
			return false
		}
		unit := es[i+len(startCode)]
		es = es[i+len(startCode):]
		switch r {
		case videoMPEG:
			switch unit {
			case 0xb3: // sequence header
				return true
			case 0x00: // picture
				return false
			}
		case videoH264:
			switch unit & 0x1f {
			case 5, 7: // slice of an IDR picture, sequence parameter set
				return true
			case 1, 2: // slice of another, partitioned or not
				return false
			}
		case videoH265:
			switch unit := unit >> 1 & 0x3f; {
			case unit >= 16 && unit <= 23, unit == 32: // IRAP picture, video parameter set
				return true
			case unit < 16: // another picture
				return false
			}
		default:
			return false
		}
	}
}

// assign gives the PIDs their roles according to the tables.
func (t *transport) assign() {
	clear(t.roles[:])
	anyVideo := slices.ContainsFunc(t.tables.programs, func(p program) bool {
		_, r, _ := p.leading()
		return r != leading
	})
	for _, p := range t.tables.programs {
		if s, r, ok := p.leading(); ok && (r != leading || !anyVideo) {
			t.roles[s.pid] = r
		}
	}
	t.roles[patPID] = tabular
	for _, p := range t.tables.programs {
		t.roles[p.pid] = tabular
	}
}
